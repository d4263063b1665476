//! Reads the books, page by page, and no more of them at once than fits into a limit.

use std::{
    collections::{HashMap, hash_map::Entry as Place},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use chrono::{DateTime, Utc};
use http::StatusCode;
use shop_client::{Failure, Page, Stock};
use shop_core::OrderId;
use tokio::time::sleep;

use super::entry::{AllHeld, Entry};
use crate::addresses::Shop;

/// The largest pages that order_service, and the other services, give.
const ORDERS_PAGE: usize = 100;
const PAGE: usize = 1000;
/// How often a page is asked for that a service cannot give now, and the pause before.
const TRIES: u32 = 5;
const BEFORE_REPEAT: Duration = Duration::from_millis(500);

/// A part of all orders: those whose hash leaves the remainder `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) index: u64,
    pub(crate) of: u64,
}

impl Part {
    fn has(self, order: OrderId) -> bool {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(order) % self.of == self.index
    }
}

/// The books about a part of the orders.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) entries: HashMap<OrderId, Entry>,
    /// What the reservations of this part hold.
    pub(crate) held: AllHeld,
    /// False if the provider's books are not to be had.
    pub(crate) charges: bool,
}

/// Why a part of the books was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It has more orders than were allowed.
    TooMany,
    Failed(Failure),
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads the books with an administrator's token.
pub(crate) struct Reader<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) token: &'a str,
    /// Orders that were placed later are left out, with everything about them: some of their books have been read before.
    pub(crate) until: DateTime<Utc>,
    /// The largest number of orders in a part.
    pub(crate) most: usize,
}

impl Reader<'_> {
    /// The stock of all products.
    pub(crate) async fn stock(&self) -> Result<Vec<Stock>, Failure> {
        let mut all = Vec::new();
        let books = &self.shop.books;
        let fetch = async |cursor: Option<&str>| books.stock(self.token, cursor, PAGE).await;
        let keep = |stock| {
            all.push(stock);
            Ok(())
        };
        each::<_, Failure>(fetch, keep).await?;
        Ok(all)
    }

    /// Everything about the orders of `part`.
    pub(crate) async fn part(&self, part: Part) -> Result<Books, Unread> {
        let Shop { orders, books, .. } = self.shop;
        let mut all = Gathered { part, until: self.until, most: self.most, entries: HashMap::new() };
        let mut held = AllHeld::default();
        each(
            async |cursor| orders.list(self.token, cursor, ORDERS_PAGE).await,
            |order| {
                let id = order.id;
                all.note(id, |entry| entry.order = Some(order))
            },
        )
        .await?;
        each(
            async |cursor| books.reservations(self.token, cursor, PAGE).await,
            |reservation| {
                let id = reservation.order_id;
                if part.has(id) {
                    held.add(&reservation);
                }
                all.note(id, |entry| entry.reservations.push(reservation))
            },
        )
        .await?;
        each(
            async |cursor| books.payments(self.token, cursor, PAGE).await,
            |payment| all.note(payment.order_id, |entry| entry.payments.push(payment)),
        )
        .await?;
        each(
            async |cursor| books.notices(self.token, cursor, PAGE).await,
            |notice| all.note(notice.order_id, |entry| entry.notices.push(notice)),
        )
        .await?;
        let charges = each(
            async |cursor| books.charges(self.token, cursor, PAGE).await,
            |charge| all.note(charge.order_id, |entry| entry.charges.push(charge)),
        );
        let charges = match charges.await {
            Ok(()) => true,
            // Another provider charges.
            Err(Unread::Failed(failure)) if failure.is_refused_with(StatusCode::NOT_FOUND) => false,
            Err(unread) => return Err(unread),
        };
        Ok(Books { entries: all.entries, held, charges })
    }
}

/// The entries of a part, while they are read.
struct Gathered {
    part: Part,
    until: DateTime<Utc>,
    most: usize,
    entries: HashMap<OrderId, Entry>,
}

impl Gathered {
    fn note(&mut self, id: OrderId, note: impl FnOnce(&mut Entry)) -> Result<(), Unread> {
        if !self.part.has(id) || placed_at(id).is_some_and(|at| at > self.until) {
            return Ok(());
        }
        let count = self.entries.len();
        match self.entries.entry(id) {
            Place::Vacant(_) if count >= self.most => return Err(Unread::TooMany),
            place => note(place.or_default()),
        }
        Ok(())
    }
}

/// An order's id is a UUIDv7 and has its time.
fn placed_at(id: OrderId) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

/// Gives each item of a list to `take`, page by page.
async fn each<T, E: From<Failure>>(
    fetch: impl AsyncFn(Option<&str>) -> Result<Page<T>, Failure>,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = None;
    loop {
        let page = patiently(&fetch, cursor.as_deref()).await?;
        page.items.into_iter().try_for_each(&mut take)?;
        let Some(next) = page.next else { return Ok(()) };
        cursor = Some(next);
    }
}

async fn patiently<T>(
    fetch: &impl AsyncFn(Option<&str>) -> Result<Page<T>, Failure>,
    cursor: Option<&str>,
) -> Result<Page<T>, Failure> {
    let mut tries = 1;
    loop {
        match fetch(cursor).await {
            Err(Failure::Unavailable { .. }) if tries < TRIES => {
                tries += 1;
                sleep(BEFORE_REPEAT).await;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use shop_core::Clock;

    use super::*;

    fn gathered(most: usize) -> Gathered {
        let until = Clock::system().now();
        Gathered { part: Part { index: 0, of: 1 }, until, most, entries: HashMap::new() }
    }

    fn id(clock: &Clock) -> OrderId {
        OrderId(clock.new_id())
    }

    #[test]
    fn no_more_orders_are_held_than_are_allowed() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let mut all = gathered(2);
        let first = id(&clock);
        assert!(all.note(first, |_| ()).is_ok());
        assert!(all.note(id(&clock), |_| ()).is_ok());
        assert!(all.note(first, |_| ()).is_ok(), "it is held already");
        assert!(matches!(all.note(id(&clock), |_| ()), Err(Unread::TooMany)));
    }

    #[test]
    fn an_order_that_was_placed_meanwhile_is_left_out() {
        let mut all = gathered(9);
        let clock = Clock::manual(all.until + chrono::TimeDelta::seconds(1));
        assert!(all.note(id(&clock), |_| unreachable!("it is too young")).is_ok());
        assert!(all.entries.is_empty());
    }

    #[test]
    fn every_order_is_in_one_part() {
        let clock = Clock::system();
        for _ in 0..100 {
            let id = id(&clock);
            let of = 7;
            assert_eq!((0..of).filter(|index| Part { index: *index, of }.has(id)).count(), 1);
        }
    }
}
