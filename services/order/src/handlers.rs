//! What the events of other services do to orders.

use std::marker::PhantomData;

use shop_core::{
    Clock, OrderId,
    events::{
        EXCHANGE, Event, PaymentFailed, PaymentProcessed, PaymentRefunded, StockRejected, StockReserved,
    },
};
use shop_messaging::{Failure, Subscription};
use shop_runtime::{
    Periodically,
    consumer::{Consumer, Effect, Handler, Misplaced, Received, statement_failed},
    database::Transaction,
};

use crate::{
    domain::{Consequence, Happening},
    metrics::Metrics,
    store::{News, Store},
};

/// What the service subscribes to, in `queue`. Ordered, so that what happens to an order is seen in the order in which its publisher
/// told it.
pub(crate) fn subscription(queue: &str) -> Subscription {
    let keys = [
        StockReserved::ROUTING_KEY,
        StockRejected::ROUTING_KEY,
        PaymentProcessed::ROUTING_KEY,
        PaymentFailed::ROUTING_KEY,
        PaymentRefunded::ROUTING_KEY,
    ];
    Subscription { ordered: true, ..Subscription::new(EXCHANGE, queue, keys) }
}

/// `consumer` with all handlers.
pub(crate) fn all(
    consumer: Consumer,
    store: &Store,
    metrics: &Metrics,
    clock: &Clock,
) -> Result<Consumer, Misplaced> {
    consumer
        .on(On::<StockReserved>::new(store, metrics, clock))?
        .on(On::<StockRejected>::new(store, metrics, clock))?
        .on(On::<PaymentProcessed>::new(store, metrics, clock))?
        .on(On::<PaymentFailed>::new(store, metrics, clock))?
        .on(On::<PaymentRefunded>::new(store, metrics, clock))
}

/// An event that tells something about an order.
trait Tells: Event + Send + 'static {
    /// The order, and what happened to it.
    fn told(self) -> (OrderId, Happening);
}

/// Handles one type of event: what it tells happens to its order.
struct On<E> {
    store: Store,
    metrics: Metrics,
    clock: Clock,
    event: PhantomData<fn() -> E>,
}

impl<E> On<E> {
    fn new(store: &Store, metrics: &Metrics, clock: &Clock) -> Self {
        Self { store: store.clone(), metrics: metrics.clone(), clock: clock.clone(), event: PhantomData }
    }
}

impl<E: Tells> Handler<Transaction> for On<E> {
    type Event = E;
    const EVENT_TYPE: &'static str = E::TYPE;
    const ROUTING_KEY: &'static str = E::ROUTING_KEY;

    async fn handle(&self, transaction: &mut Transaction, event: Received<E>) -> Result<Effect, Failure> {
        let (id, what) = event.payload.told();
        match self.store.happened(transaction, id, what).await.map_err(statement_failed)? {
            None => self.ignored(id, "unknown_order"),
            Some(News { consequence: Consequence::Known, .. }) => self.ignored(id, "known"),
            Some(News { consequence: Consequence::Impossible, .. }) => self.ignored(id, "impossible"),
            Some(News { consequence: Consequence::Changed(change), order }) => {
                if change.announcement.is_some() {
                    // Before the commit; if that fails, the order is counted again with the next attempt.
                    self.metrics.moved(&order, self.clock.now());
                    tracing::info!(order = %id, status = %order.status, "an order has a new status");
                }
            }
        }
        Ok(Effect::done())
    }
}

impl<E: Tells> On<E> {
    /// An event that changes nothing is no failure: it would be the same the next time.
    fn ignored(&self, id: OrderId, reason: &'static str) {
        static IGNORED: Periodically = Periodically::line();
        self.metrics.ignored(E::TYPE, reason);
        if reason != "known"
            && let Some(count) = IGNORED.due()
        {
            tracing::warn!(order = %id, event_type = E::TYPE, reason, count, "events changed nothing");
        }
    }
}

impl Tells for StockReserved {
    fn told(self) -> (OrderId, Happening) {
        (self.order_id, Happening::StockReserved)
    }
}

impl Tells for StockRejected {
    fn told(self) -> (OrderId, Happening) {
        (self.order_id, Happening::StockRejected { reason: self.reason })
    }
}

impl Tells for PaymentProcessed {
    fn told(self) -> (OrderId, Happening) {
        (self.order_id, Happening::PaymentProcessed)
    }
}

impl Tells for PaymentFailed {
    fn told(self) -> (OrderId, Happening) {
        (self.order_id, Happening::PaymentFailed { code: self.code, reason: self.reason })
    }
}

impl Tells for PaymentRefunded {
    fn told(self) -> (OrderId, Happening) {
        (self.order_id, Happening::PaymentRefunded)
    }
}
