//! One shopper: browses, fills a cart, orders, looks at the order until it is settled, and sometimes cancels it.

use std::{sync::Arc, time::Duration};

use shop_client::{Failure, Happening, NewOrder, Order, Owner, Product, Search};
use shop_core::{OrderId, OrderStatus, basket::Line, events::CancellationCode};
use shop_runtime::config::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    pauses::{Pauses, pause},
    plan::{Plan, Regret, Who},
    premises::{Counters, Premises},
    tally::End,
};

/// The number of products on the page that a shopper looks at.
const PRODUCTS: usize = 100;
/// How long to wait before an order is looked at again: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

pub(crate) struct Shopper {
    pub(crate) premises: Arc<Premises>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) number: u64,
    pub(crate) plan: Plan,
}

/// An order, and what proves whose it is.
struct Placed {
    id: OrderId,
    /// A guest's.
    token: Option<SecretString>,
    at: Instant,
}

impl Shopper {
    pub(crate) async fn visit(self) {
        let Ok(products) = self.browse().await else { return self.counters.tally().gave_up() };
        let cart = self.plan.cart(&products);
        if cart.is_empty() {
            return self.counters.tally().sold_out();
        }
        let Ok(placed) = self.order(&cart).await else { return self.counters.tally().gave_up() };
        let end = self.see_to_its_end(&placed).await;
        self.counters.tally().ended(end);
    }

    /// Looks at the list and at some of the products in it.
    async fn browse(&self) -> Result<Vec<Product>, Failure> {
        let catalog = &self.premises.shop.catalog;
        let products = self.insist(|| async { catalog.search(&Search::all(PRODUCTS)).await }).await?.items;
        for product in products.iter().take(self.plan.looks) {
            self.insist(|| catalog.product(product.id)).await?;
        }
        Ok(products)
    }

    /// Places the order, under one key until it is answered.
    async fn order(&self, cart: &[Line]) -> Result<Placed, Failure> {
        let key = Uuid::new_v4();
        let (placed, took) = self
            .insist(|| async {
                let at = Instant::now();
                let placed = self.request(key, cart, at).await?;
                Ok::<_, Failure>((placed, at.elapsed()))
            })
            .await?;
        let mut tally = self.counters.tally();
        tally.placed(took);
        tally.orders.push(placed.id);
        Ok(placed)
    }

    async fn request(&self, key: Uuid, items: &[Line], at: Instant) -> Result<Placed, Failure> {
        let Premises { shop, accounts, run, .. } = &*self.premises;
        match self.plan.who {
            Who::Guest => {
                let email = format!("guest-{run}-{}@example.com", self.number);
                let order = NewOrder { customer_email: Some(&email), items, language: None };
                let placed = shop.orders.place_as_guest(key, &order).await?;
                Ok(Placed { id: placed.order.id, token: Some(placed.token), at })
            }
            Who::Account(number) => {
                let order = NewOrder { customer_email: None, items, language: None };
                let placed = shop.orders.place(&accounts.token(number), key, &order).await?;
                Ok(Placed { id: placed.id, token: None, at })
            }
        }
    }

    async fn see_to_its_end(&self, placed: &Placed) -> End {
        if self.plan.regret == Some(Regret::AtOnce) {
            self.cancel(placed).await;
        }
        let Some(patience) = self.premises.arguments.look() else { return End::NotLookedAt };
        let deadline = placed.at + patience;
        let Some(order) = self.settled(placed, deadline).await else { return End::StillPending };
        self.counters.tally().settled(settled_after(&order).unwrap_or_else(|| placed.at.elapsed()));
        if order.status == Some(OrderStatus::Confirmed) && self.plan.regret == Some(Regret::WhenConfirmed) {
            self.cancel(placed).await;
            return self.look(placed).await.map_or(End::Confirmed, |order| end_of(&order));
        }
        end_of(&order)
    }

    /// Looks at the order until it is settled; `None` if it was not by `deadline`.
    async fn settled(&self, placed: &Placed, deadline: Instant) -> Option<Order> {
        let mut interval = FIRST_LOOK;
        loop {
            sleep(interval).await;
            interval = interval.mul_f64(1.5).min(LONGEST_LOOK);
            let order = self.look(placed).await;
            let status = order.as_ref().and_then(|order| order.status);
            if status.is_some_and(OrderStatus::is_settled) {
                return order;
            }
            if Instant::now() + interval > deadline {
                return None;
            }
        }
    }

    /// `None` if it cannot be seen now.
    async fn look(&self, placed: &Placed) -> Option<Order> {
        let orders = &self.premises.shop.orders;
        let look = || async {
            let access = self.access();
            orders.get(owner(placed, &access), placed.id).await
        };
        self.insist(look).await.ok().flatten()
    }

    async fn cancel(&self, placed: &Placed) {
        let orders = &self.premises.shop.orders;
        let cancel = || async {
            let access = self.access();
            orders.cancel(owner(placed, &access), placed.id).await
        };
        if self.insist(cancel).await.is_err_and(|failure| failure.is_refused_as("not-cancellable")) {
            self.counters.tally().too_late();
        }
    }

    /// The account's access token; empty for a guest.
    fn access(&self) -> String {
        match self.plan.who {
            Who::Account(number) => self.premises.accounts.token(number),
            Who::Guest => String::new(),
        }
    }

    /// Makes a call, and repeats it as long as it fails for reasons that pass.
    async fn insist<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.premises.arguments.patience();
        let mut pauses = Pauses::new();
        loop {
            let failure = match call().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            self.counters.tally().failed(&failure);
            let pause = match (&failure, self.plan.who) {
                (Failure::Unauthorized(_), Who::Account(number)) => {
                    // If that fails, the next call does too.
                    let _ = self.premises.accounts.renew(number).await;
                    Some(LONGEST_LOOK)
                }
                _ => pause(&failure, &mut pauses),
            };
            match pause {
                Some(pause) if Instant::now() + pause < deadline => sleep(pause).await,
                _ => return Err(failure),
            }
        }
    }
}

fn owner<'a>(placed: &'a Placed, access: &'a str) -> Owner<'a> {
    match &placed.token {
        Some(token) => Owner::Guest(token.expose_secret()),
        None => Owner::Account(access),
    }
}

fn end_of(order: &Order) -> End {
    match (order.status, &order.cancellation) {
        (Some(OrderStatus::Cancelled), Some(cancellation)) => End::Cancelled(cancellation.code),
        (Some(OrderStatus::Cancelled), None) => End::Cancelled(CancellationCode::Unspecified),
        (Some(OrderStatus::Pending) | None, _) => End::StillPending,
        _ => End::Confirmed,
    }
}

/// How long the order took to be confirmed or cancelled, by order_service's own clock.
fn settled_after(order: &Order) -> Option<Duration> {
    let settles = |event| matches!(event, Happening::Confirmed | Happening::Cancelled);
    let at = order.timeline.iter().filter(|step| settles(step.event)).map(|step| step.at).min()?;
    (at - order.created_at).to_std().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn order(status: &str, more: &Value) -> Order {
        let mut order = json!({
            "id": "0198f000-0000-7000-8000-000000000001", "customer_email": "a@example.com", "total_amount": 5.0,
            "currency": "RUB", "status": status, "items": [], "created_at": "2026-08-01T12:00:00Z",
        });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn an_order_ends_confirmed_or_cancelled() {
        let code = json!({ "cancellation": { "code": "out_of_stock", "reason": "…" } });
        assert_eq!(end_of(&order("cancelled", &code)), End::Cancelled(CancellationCode::OutOfStock));
        assert_eq!(end_of(&order("cancelled", &json!({}))), End::Cancelled(CancellationCode::Unspecified));
        assert_eq!(end_of(&order("shipped", &json!({}))), End::Confirmed);
        assert_eq!(end_of(&order("pending", &json!({}))), End::StillPending);
    }

    #[test]
    fn an_order_is_settled_when_it_is_first_decided() {
        let step = |seq, second, event| json!({ "seq": seq, "at": format!("2026-08-01T12:00:{second:02}.5Z"), "event": event });
        let timeline = [
            step(1, 0, "placed"),
            step(2, 1, "stock_reserved"),
            step(3, 2, "confirmed"),
            step(4, 9, "cancelled"),
        ];
        let order = order("cancelled", &json!({ "timeline": timeline }));
        assert_eq!(settled_after(&order), Some(Duration::from_millis(2500)));
    }
}
