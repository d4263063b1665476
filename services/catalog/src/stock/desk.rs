//! Where events, decisions and books meet: one function for each thing that happens to an order.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use shop_core::{
    Clock, OrderId,
    events::{Event, OrderCreated, Shortage},
};
use shop_outbox::NewMessage;
use thiserror::Error;

use super::{
    announce,
    booking::Booking,
    books::{self, Moved},
    life::{Movement, Occasion, Reservation, State, Step, step},
    lines::{TooManyLines, lines},
    metrics::{Outcome, Reason},
};

/// The context of all that happens to reservations.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    /// The service's name, for its events.
    source: &'static str,
    clock: Clock,
    /// How long pieces are reserved.
    lasts: TimeDelta,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub(crate) enum Undone {
    /// The database refused, or is away.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The event is not one of an order that can exist.
    #[error(transparent)]
    TooManyLines(#[from] TooManyLines),
    /// The order was confirmed, and its `order_created` was never handled, so it is not known what was ordered.
    #[error("nothing is known of the order: its order_created was not handled")]
    UnknownOrder,
    /// Pieces came back at the very moment in which there were too few: the next attempt decides.
    #[error("stock changed meanwhile")]
    Changed,
    /// An event cannot be written as JSON.
    #[error(transparent)]
    Unwritable(#[from] serde_json::Error),
}

/// What is announced: nothing for most changes.
type Announced = Result<Option<NewMessage>, Undone>;

impl Desk {
    pub(crate) fn new(source: &'static str, clock: Clock, lasts: TimeDelta) -> Self {
        Self { source, clock, lasts }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Reserves all that was ordered, or nothing.
    pub(crate) async fn created(&self, booking: &mut Booking, order: OrderCreated) -> Announced {
        let (id, now) = (order.order_id, self.now());
        let lines = lines(&order.items)?;
        let until = now + self.lasts;
        let first = Reservation { state: State::Reserved, is_cancelled: false, version: 1 };
        // Written before the pieces are moved, so that the products are locked last.
        let known = if books::open(booking.tables(), id, first, Some(until), now).await? {
            None
        } else {
            books::find(booking.tables(), id).await?
        };
        let Step::Move(movement) = step(known, Occasion::Created) else { return Ok(None) };
        books::write_lines(booking.tables(), id, &lines).await?;
        match self.shift(booking, id, first, movement).await? {
            None => self.announced(&announce::reserved(order, until), id, first.version),
            Some(shortages) => self.announced(&announce::rejected(id, shortages), id, first.version),
        }
    }

    /// The reserved pieces are sold. If the reservation has ended, others are sold in their place, or the order is rejected.
    pub(crate) async fn confirmed(&self, booking: &mut Booking, id: OrderId) -> Announced {
        let known = books::find(booking.tables(), id).await?;
        match (step(known, Occasion::Confirmed), known) {
            (Step::Move(movement), Some(known)) => {
                let changed = changed(known, movement.leads_to());
                books::save(booking.tables(), id, changed, self.now()).await?;
                match self.shift(booking, id, changed, movement).await? {
                    None => Ok(None),
                    Some(shortages) => {
                        self.announced(&announce::rejected(id, shortages), id, changed.version)
                    }
                }
            }
            (Step::Unknown, _) => Err(Undone::UnknownOrder),
            _ => Ok(None),
        }
    }

    /// Gives back what is reserved or sold. Nothing is reserved for the order afterwards, even if its `order_created` comes later.
    pub(crate) async fn cancelled(&self, booking: &mut Booking, id: OrderId) -> Result<(), Undone> {
        let Some(known) = self.find_or_forbid(booking, id).await? else { return Ok(()) };
        let cancelled = |state| Reservation { is_cancelled: true, ..changed(known, state) };
        match step(Some(known), Occasion::Cancelled) {
            Step::Move(movement) => {
                books::save(booking.tables(), id, cancelled(movement.leads_to()), self.now()).await?;
                self.give_back(booking, id, movement, Reason::Event).await
            }
            Step::Forbid => Ok(books::save(booking.tables(), id, cancelled(known.state), self.now()).await?),
            Step::Stay | Step::Unknown => Ok(()),
        }
    }

    /// Releases the reservation, if nobody is dealing with it and it is still one.
    pub(crate) async fn expired(&self, booking: &mut Booking, id: OrderId) -> Announced {
        let known = books::find_unless_locked(booking.tables(), id).await?;
        let (Step::Move(movement), Some(known)) = (step(known, Occasion::Expired), known) else {
            return Ok(None);
        };
        let changed = changed(known, movement.leads_to());
        books::save(booking.tables(), id, changed, self.now()).await?;
        self.give_back(booking, id, movement, Reason::Expired).await?;
        self.announced(&announce::expired(id), id, changed.version)
    }

    /// The reservation of a cancelled order; `None` if there was none, and one that forbids any is written now.
    async fn find_or_forbid(&self, booking: &Booking, id: OrderId) -> Result<Option<Reservation>, DbErr> {
        if let Some(known) = books::find(booking.tables(), id).await? {
            return Ok(Some(known));
        }
        let mark = Reservation { state: State::Released, is_cancelled: true, version: 1 };
        if books::open(booking.tables(), id, mark, None, self.now()).await? {
            return Ok(None);
        }
        books::find(booking.tables(), id).await
    }

    /// Moves the pieces of a reservation that is already written as `changed`, or writes that it is rejected; returns the shortages then.
    async fn shift(
        &self,
        booking: &mut Booking,
        id: OrderId,
        changed: Reservation,
        movement: Movement,
    ) -> Result<Option<Vec<Shortage>>, Undone> {
        match books::shift(booking.tables(), id, movement).await? {
            Moved::All { is_seen } => {
                booking.note(Outcome { state: changed.state, reason: Reason::Event }, is_seen);
                Ok(None)
            }
            Moved::Nothing(shortages) => {
                let rejected = Reservation { state: State::Rejected, ..changed };
                books::save(booking.tables(), id, rejected, self.now()).await?;
                let reason = if shortages.is_empty() { Reason::Event } else { Reason::SoldOut };
                booking.note(Outcome { state: State::Rejected, reason }, false);
                Ok(Some(shortages))
            }
            Moved::Meanwhile => Err(Undone::Changed),
        }
    }

    async fn give_back(
        &self,
        booking: &mut Booking,
        id: OrderId,
        movement: Movement,
        reason: Reason,
    ) -> Result<(), Undone> {
        let moved = books::shift(booking.tables(), id, movement).await?;
        let is_seen = matches!(moved, Moved::All { is_seen: true });
        booking.note(Outcome { state: movement.leads_to(), reason }, is_seen);
        Ok(())
    }

    fn announced(&self, event: &impl Event, id: OrderId, version: i64) -> Announced {
        Ok(Some(announce::message(event, id, version, self.source, &self.clock)?))
    }
}

fn changed(known: Reservation, state: State) -> Reservation {
    Reservation { state, version: known.version + 1, ..known }
}
