use std::{error::Error, future::Future};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::{Message, topic};

/// Any error, for people to read.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A consumer's subscription: its own durable queue, which outlives it, bound to an exchange.
///
/// Consumers of the same queue share its messages; each queue gets its own copy. In addition there is
/// `<queue>.dead` for messages that could not be handled, see [`Broker::dead_letters`](crate::Broker::dead_letters).
///
/// A queue keeps the limits that it was first declared with, and the bindings that it was ever given.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The topic exchange, declared if it is missing. At most 255 bytes.
    pub exchange: String,
    /// The queue's name, and so the consumer's. At most 240 bytes.
    pub queue: String,
    /// Which routing keys: `order.created`, `order.*` (one word), `order.#` (any number of words).
    pub patterns: Vec<String>,
    /// Whether the messages of one aggregate (those with the same header `aggregate_id`) are handled one after another, in the
    /// queue's order. Then one consumer of the queue is active at a time and the others wait to take over, and a message that
    /// will be retried is not overtaken by the next one of its aggregate. An existing queue cannot be changed from one to the other.
    pub ordered: bool,
    /// How many messages are handled at once. With 1 they are handled in the order of the queue.
    pub concurrency: u16,
    /// How many times a message is delivered before it goes to the dead letters. It is delivered again after a failure, and after
    /// the connection was lost while it was handled.
    pub delivery_limit: u32,
    /// How many messages the queue holds before it refuses more ([`Verdict::Nacked`](crate::Verdict::Nacked)).
    pub max_length: u32,
}

impl Subscription {
    /// The keys that match `patterns`, in `queue`; not ordered, 8 at once, 10 deliveries, a million messages.
    pub fn new<P: Into<String>>(
        exchange: impl Into<String>,
        queue: impl Into<String>,
        patterns: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            exchange: exchange.into(),
            queue: queue.into(),
            patterns: patterns.into_iter().map(Into::into).collect(),
            ordered: false,
            concurrency: 8,
            delivery_limit: 10,
            max_length: 1_000_000,
        }
    }

    /// Whether the queue gets messages with this routing key.
    pub fn matches(&self, routing_key: &str) -> bool {
        self.patterns.iter().any(|pattern| topic::matches(pattern, routing_key))
    }
}

/// A message that was delivered, and belongs to the handler until that returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The message. Another publisher may have left out the kind or the app_id (then empty) or the timestamp (then 1970).
    pub message: Message,
    /// 1 for the first delivery. If it is higher, the message may have been handled before: check the inbox.
    pub attempt: u32,
}

impl Delivery {
    /// Reads the payload as JSON.
    ///
    /// # Errors
    /// [`Failure::Reject`]: a payload that cannot be read now cannot be read next time either.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.message.payload).map_err(Failure::reject)
    }
}

/// Why a message was not handled, and what happens to it. The error goes to the log, so it must not contain secrets.
#[derive(Debug, Error)]
pub enum Failure {
    /// Delivered again, after a pause that doubles with each attempt, up to the delivery limit.
    #[error("to be tried again: {0}")]
    Retry(#[source] BoxError),
    /// Something that the handler depends on is away, so no message could be handled: retry after growing pauses, without counting
    /// attempts. The message stays with the consumer meanwhile.
    #[error("to wait: {0}")]
    Away(#[source] BoxError),
    /// Retrying will not help: it goes to the dead letters at once.
    #[error("rejected: {0}")]
    Reject(#[source] BoxError),
}

impl Failure {
    /// A temporary failure.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self::Retry(error.into())
    }

    /// A failure that is unrelated to the message.
    pub fn away(error: impl Into<BoxError>) -> Self {
        Self::Away(error.into())
    }

    /// A permanent failure.
    pub fn reject(error: impl Into<BoxError>) -> Self {
        Self::Reject(error.into())
    }
}

/// Handles messages. A closure from [`Delivery`] to a future of `Result<(), Failure>` is one.
///
/// The same message may come again, even after success (an acknowledgement can be lost): record the effect and the message's
/// id in one transaction. A handler needs its own deadline; it is never interrupted, unless the consumer is dropped. A panic
/// counts as [`Failure::Retry`].
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message. It is acknowledged after `Ok`.
    ///
    /// # Errors
    /// See [`Failure`].
    async fn handle(&self, delivery: Delivery) -> Result<(), Failure>;

    /// Called when the queue exists and messages can arrive.
    fn consuming(&self) {}

    /// Called when none can arrive, because the broker is away or refuses. The consumer retries.
    fn not_consuming(&self, _error: &str) {}
}

#[async_trait]
impl<H, F> Handler for H
where
    H: Fn(Delivery) -> F + Send + Sync,
    F: Future<Output = Result<(), Failure>> + Send,
{
    async fn handle(&self, delivery: Delivery) -> Result<(), Failure> {
        self(delivery).await
    }
}

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The message, with its original routing key. The id is nil if it had none that could be read.
    pub message: Message,
    /// `rejected` (by the handler, or by the consumer of an ordered queue after the last attempt), or `delivery_limit`.
    pub reason: String,
}
