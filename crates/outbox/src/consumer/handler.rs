use std::{collections::HashMap, future::Future, marker::PhantomData};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use shop_messaging::{Delivery, Failure, HeaderValue, Subscription};
use thiserror::Error;
use uuid::Uuid;

use crate::NewMessage;

/// Handles one type of event in transactions of type `T`. The fields of the implementing type are its context.
pub trait Handler<T>: Send + Sync + 'static {
    /// The payload, read from JSON. A payload that cannot be read goes to the dead letters at once.
    type Event: DeserializeOwned + Send;
    /// The AMQP `type` of the event, such as `order_created`.
    const EVENT_TYPE: &'static str;
    /// The AMQP routing key of the event, such as `order.created`: it identifies messages from publishers that set no type.
    const ROUTING_KEY: &'static str;

    /// Writes the effect in `transaction`, which is then committed together with the inbox row and the effect's events.
    ///
    /// It may be called again for the same message after a failure; nothing of the failed attempt is left in the
    /// database. Anything that it does elsewhere (a call, an e-mail) must be safe to repeat, and should have its own time limit: the
    /// attempt is cut short at [`Options::time_limit`](super::Options::time_limit).
    ///
    /// # Errors
    /// [`Failure::retry`] for temporary problems, [`Failure::reject`] for permanent ones.
    fn handle(
        &self,
        transaction: &mut T,
        event: Received<Self::Event>,
    ) -> impl Future<Output = Result<Effect, Failure>> + Send;
}

/// A received event.
#[derive(Clone, Debug, PartialEq)]
pub struct Received<E> {
    /// Its content.
    pub payload: E,
    /// The message's id, the same in every delivery.
    pub message_id: Uuid,
    /// The aggregate, if the publisher names it.
    pub aggregate_id: Option<String>,
    /// The aggregate's version after the change, if the publisher sends it. In an ordered queue versions arrive in order, except for
    /// replayed dead letters, which are older than what has been handled since.
    pub aggregate_version: Option<i64>,
    /// When it happened, to the second.
    pub occurred_at: DateTime<Utc>,
    /// 1 for the first attempt.
    pub attempt: u32,
}

impl<E: DeserializeOwned> Received<E> {
    fn read(delivery: &Delivery) -> Result<Self, Failure> {
        let message = &delivery.message;
        let aggregate_id = message.headers.get("aggregate_id").map(|id| match id {
            HeaderValue::Text(id) => id.clone(),
            HeaderValue::Number(id) => id.to_string(),
        });
        Ok(Self {
            payload: delivery.json()?,
            message_id: message.id,
            aggregate_id,
            aggregate_version: message.headers.get("aggregate_version").and_then(HeaderValue::as_number),
            occurred_at: message.timestamp,
            attempt: delivery.attempt,
        })
    }
}

/// What a handler wants to store in addition to what it has written: events that announce the change.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Effect {
    pub(super) events: Vec<NewMessage>,
}

impl Effect {
    /// No events; everything is in the transaction.
    pub fn done() -> Self {
        Self::default()
    }

    /// Appends `event` to the outbox, after earlier ones.
    pub fn announcing(mut self, event: NewMessage) -> Self {
        self.events.push(event);
        self
    }
}

/// A handler that would never be called, or that is not the only one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misplaced {
    /// Only one handler of a queue may handle an event.
    #[error("there is another handler of {0} already")]
    Taken(&'static str),
    /// The events are not routed to the queue.
    #[error("the subscription {queue} does not bring {routing_key}")]
    NotSubscribed {
        /// The queue.
        queue: String,
        /// The event's routing key.
        routing_key: &'static str,
    },
}

/// A handler with its event type erased.
#[async_trait]
pub(super) trait AnyHandler<T: Send>: Send + Sync {
    async fn handle(&self, transaction: &mut T, delivery: &Delivery) -> Result<Effect, Failure>;
}

struct Typed<T, H>(H, PhantomData<fn(&mut T)>);

#[async_trait]
impl<T: Send + 'static, H: Handler<T>> AnyHandler<T> for Typed<T, H> {
    async fn handle(&self, transaction: &mut T, delivery: &Delivery) -> Result<Effect, Failure> {
        self.0.handle(transaction, Received::read(delivery)?).await
    }
}

/// The handlers of a consumer, one for each type of event.
pub(super) struct Handlers<T> {
    by_type: HashMap<&'static str, Box<dyn AnyHandler<T>>>,
    types_by_key: HashMap<&'static str, &'static str>,
}

impl<T> Default for Handlers<T> {
    fn default() -> Self {
        Self { by_type: HashMap::new(), types_by_key: HashMap::new() }
    }
}

impl<T: Send + 'static> Handlers<T> {
    pub(super) fn add<H: Handler<T>>(
        &mut self,
        subscription: &Subscription,
        handler: H,
    ) -> Result<(), Misplaced> {
        let (event_type, routing_key) = (H::EVENT_TYPE, H::ROUTING_KEY);
        if !subscription.matches(routing_key) {
            return Err(Misplaced::NotSubscribed { queue: subscription.queue.clone(), routing_key });
        }
        if self.by_type.contains_key(event_type) {
            return Err(Misplaced::Taken(event_type));
        }
        self.types_by_key.insert(routing_key, event_type);
        self.by_type.insert(event_type, Box::new(Typed(handler, PhantomData)));
        Ok(())
    }

    /// The events that have a handler.
    pub(super) fn event_types(&self) -> impl Iterator<Item = &'static str> {
        self.by_type.keys().copied()
    }

    /// The type of an event and its handler; `None` if there is no handler.
    pub(super) fn of(&self, delivery: &Delivery) -> Option<(&'static str, &dyn AnyHandler<T>)> {
        let message = &delivery.message;
        let kind = if message.kind.is_empty() {
            *self.types_by_key.get(message.routing_key.as_str())?
        } else {
            message.kind.as_str()
        };
        self.by_type.get_key_value(kind).map(|(kind, handler)| (*kind, &**handler))
    }
}
