//! Handles events: each is told to its customer over one channel.
//!
//! A handler sends within the transaction of its message, as the last thing before the commit. So the message's retries, pauses and dead letters
//! are those of the consumer, and what is lost between the two is only the commit: then the same thing is sent again, with the same
//! Message-ID where the channel has one (ADR 31).

mod desk;
mod mail;
mod messenger;
mod telegram;

use std::{marker::PhantomData, sync::Arc};

use shop_core::events::{
    EXCHANGE, Event, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderShipped,
    PaymentRefunded,
};
use shop_messaging::{Failure, Subscription};
use shop_runtime::{
    consumer::{Consumer, Effect, Handler, Misplaced, Received},
    database::Transaction,
};

use self::messenger::Messenger;
pub(crate) use self::{desk::Desk, mail::Mails, telegram::Chats};
use crate::domain::{Channel, Newsworthy};

/// How many orders are told about at once on a channel. Each holds a connection to the database while its message is sent, and both
/// channels together must leave some for requests.
const AT_ONCE: u16 = 4;

/// How often a message is tried. The pauses between grow to 15 to 30 seconds, so this is five to nine minutes of a server that
/// says "later"; one that is away is not counted.
const ATTEMPTS: u32 = 25;

/// The events of a channel.
pub(crate) fn subscription(channel: Channel) -> Subscription {
    let keys = [
        OrderCreated::ROUTING_KEY,
        OrderConfirmed::ROUTING_KEY,
        OrderCancelled::ROUTING_KEY,
        OrderShipped::ROUTING_KEY,
        OrderDelivered::ROUTING_KEY,
        PaymentRefunded::ROUTING_KEY,
    ];
    Subscription {
        ordered: true,
        concurrency: AT_ONCE,
        delivery_limit: ATTEMPTS,
        ..Subscription::new(EXCHANGE, channel.queue(), keys)
    }
}

/// Adds the handlers of all events to the consumer of a channel.
///
/// # Errors
/// The consumer's subscription is another channel's.
pub(crate) fn handled_by<M: Messenger>(
    desk: &Arc<Desk<M>>,
    consumer: Consumer,
) -> Result<Consumer, Misplaced> {
    consumer
        .on(Tell::<M, OrderCreated>::at(desk))?
        .on(Tell::<M, OrderConfirmed>::at(desk))?
        .on(Tell::<M, OrderCancelled>::at(desk))?
        .on(Tell::<M, OrderShipped>::at(desk))?
        .on(Tell::<M, OrderDelivered>::at(desk))?
        .on(Tell::<M, PaymentRefunded>::at(desk))
}

/// Tells customers about the events of one type.
struct Tell<M, E> {
    desk: Arc<Desk<M>>,
    event: PhantomData<fn(E)>,
}

impl<M, E> Tell<M, E> {
    fn at(desk: &Arc<Desk<M>>) -> Self {
        Self { desk: Arc::clone(desk), event: PhantomData }
    }
}

impl<M: Messenger, E: Newsworthy> Handler<Transaction> for Tell<M, E> {
    type Event = E;
    const EVENT_TYPE: &'static str = E::TYPE;
    const ROUTING_KEY: &'static str = E::ROUTING_KEY;

    async fn handle(&self, transaction: &mut Transaction, event: Received<E>) -> Result<Effect, Failure> {
        self.desk.tell(transaction, &event.payload, event.message_id).await?;
        Ok(Effect::done())
    }
}
