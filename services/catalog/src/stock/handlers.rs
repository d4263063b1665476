//! The consumer: which event does what.

use shop_core::events::{EXCHANGE, Event as _, OrderCancelled, OrderConfirmed, OrderCreated};
use shop_messaging::{Broker, Failure, Subscription};
use shop_outbox::consumer::Consumer;
use shop_runtime::consumer::{Effect, Handler, Misplaced, Options, Received, statement_failed};

use super::{
    booking::{Booking, Stockroom},
    desk::{Desk, Undone},
};

/// How many orders are handled at once. Each takes a database connection, and the requests need some, too.
const CONCURRENCY: u16 = 4;

/// The events of orders that concern stock, in `queue`, those of one order one after another.
pub(crate) fn subscription(queue: &str) -> Subscription {
    let keys = [OrderCreated::ROUTING_KEY, OrderConfirmed::ROUTING_KEY, OrderCancelled::ROUTING_KEY];
    Subscription { ordered: true, concurrency: CONCURRENCY, ..Subscription::new(EXCHANGE, queue, keys) }
}

/// The consumer of a [`subscription`].
///
/// # Errors
/// A handler's event is not in the subscription, which is a bug.
pub(crate) fn consumer(
    broker: Broker,
    subscription: Subscription,
    stockroom: Stockroom,
    desk: &Desk,
    options: Options,
) -> Result<Consumer<Stockroom>, Misplaced> {
    Consumer::new(broker, stockroom, subscription, options)
        .on(Reserve(desk.clone()))?
        .on(Sell(desk.clone()))?
        .on(GiveBack(desk.clone()))
}

struct Reserve(Desk);

impl Handler<Booking> for Reserve {
    type Event = OrderCreated;
    const EVENT_TYPE: &'static str = OrderCreated::TYPE;
    const ROUTING_KEY: &'static str = OrderCreated::ROUTING_KEY;

    async fn handle(&self, booking: &mut Booking, event: Received<OrderCreated>) -> Result<Effect, Failure> {
        let announced = self.0.created(booking, event.payload).await?;
        Ok(announced.map_or_else(Effect::done, |event| Effect::done().announcing(event)))
    }
}

struct Sell(Desk);

impl Handler<Booking> for Sell {
    type Event = OrderConfirmed;
    const EVENT_TYPE: &'static str = OrderConfirmed::TYPE;
    const ROUTING_KEY: &'static str = OrderConfirmed::ROUTING_KEY;

    async fn handle(
        &self,
        booking: &mut Booking,
        event: Received<OrderConfirmed>,
    ) -> Result<Effect, Failure> {
        let announced = self.0.confirmed(booking, event.payload.order_id).await?;
        Ok(announced.map_or_else(Effect::done, |event| Effect::done().announcing(event)))
    }
}

struct GiveBack(Desk);

impl Handler<Booking> for GiveBack {
    type Event = OrderCancelled;
    const EVENT_TYPE: &'static str = OrderCancelled::TYPE;
    const ROUTING_KEY: &'static str = OrderCancelled::ROUTING_KEY;

    async fn handle(
        &self,
        booking: &mut Booking,
        event: Received<OrderCancelled>,
    ) -> Result<Effect, Failure> {
        self.0.cancelled(booking, event.payload.order_id).await?;
        Ok(Effect::done())
    }
}

impl From<Undone> for Failure {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Database(error) => statement_failed(error),
            Undone::Changed => Self::retry(undone),
            Undone::TooManyLines(_) | Undone::UnknownOrder | Undone::Unwritable(_) => Self::reject(undone),
        }
    }
}
