//! What the service does about events: it opens payments and cancels them. It calls no provider; the worker does.

mod waking;

use std::sync::Arc;

use chrono::TimeDelta;
use shop_core::{
    Clock, PaymentId,
    events::{EXCHANGE, Event as _, OrderCancelled, StockReserved},
};
use shop_messaging::{Broker, Failure, Subscription};
use shop_outbox::consumer::{Consumer, Misplaced};
use shop_runtime::{
    TraceParent,
    consumer::{ConsumerConfig, Effect, Handler, Received, statement_failed},
    database::Database,
};
use tokio::sync::Notify;

use self::waking::{WakingDatabase, WakingTransaction};
use crate::{
    domain::{Payment, State},
    metrics::Metrics,
    store,
};

/// Both events of an order come through one queue, one after another.
pub(crate) fn subscription(queue: &str) -> Subscription {
    Subscription {
        ordered: true,
        ..Subscription::new(EXCHANGE, queue, [StockReserved::ROUTING_KEY, OrderCancelled::ROUTING_KEY])
    }
}

/// What the handlers need.
#[derive(Clone)]
pub(crate) struct Context {
    /// The name of the provider that charges.
    pub provider: &'static str,
    /// How long a payment is tried.
    pub patience: TimeDelta,
    /// The time.
    pub clock: Clock,
    /// The counters.
    pub metrics: Metrics,
    /// Wakes the worker.
    pub wake: Arc<Notify>,
}

/// The consumer of `database`'s service.
pub(crate) fn consumer(
    broker: Broker,
    subscription: Subscription,
    database: Database,
    config: &ConsumerConfig,
    context: Context,
) -> Result<Consumer<WakingDatabase>, Misplaced> {
    let database = WakingDatabase::new(database, context.wake.clone());
    Consumer::new(broker, database, subscription, config.options())
        .on(Open(context.clone()))?
        .on(Cancel(context))
}

/// `stock.reserved`: the order is to be charged.
struct Open(Context);

impl Handler<WakingTransaction> for Open {
    type Event = StockReserved;
    const EVENT_TYPE: &'static str = StockReserved::TYPE;
    const ROUTING_KEY: &'static str = StockReserved::ROUTING_KEY;

    async fn handle(
        &self,
        transaction: &mut WakingTransaction,
        event: Received<StockReserved>,
    ) -> Result<Effect, Failure> {
        let Self(Context { provider, patience, clock, metrics, .. }) = self;
        let (id, now) = (PaymentId(clock.new_id()), clock.now());
        let payment = Payment::open(event.payload, id, provider, *patience, now);
        let trace = TraceParent::current();
        let opened = store::open(transaction.inner(), payment, &trace, now).await;
        match opened.map_err(statement_failed)? {
            Some(payment) if payment.state == State::Cancelled => metrics.ended(&payment),
            Some(_) => transaction.wakes(),
            // A second announcement of the same order's stock.
            None => {}
        }
        Ok(Effect::done())
    }
}

/// `order.cancelled`: whatever was charged is given back.
struct Cancel(Context);

impl Handler<WakingTransaction> for Cancel {
    type Event = OrderCancelled;
    const EVENT_TYPE: &'static str = OrderCancelled::TYPE;
    const ROUTING_KEY: &'static str = OrderCancelled::ROUTING_KEY;

    async fn handle(
        &self,
        transaction: &mut WakingTransaction,
        event: Received<OrderCancelled>,
    ) -> Result<Effect, Failure> {
        let Self(Context { clock, metrics, .. }) = self;
        let now = clock.now();
        let cancelled = store::cancel(transaction.inner(), event.payload.order_id, now).await;
        if let Some(payment) = cancelled.map_err(statement_failed)? {
            if payment.state == State::Cancelled && payment.updated_at == now {
                metrics.ended(&payment);
            }
            if payment.due_at.is_some() {
                transaction.wakes();
            }
        }
        Ok(Effect::done())
    }
}
