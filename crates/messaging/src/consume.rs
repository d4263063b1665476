use std::{error::Error, future::Future, panic::AssertUnwindSafe};

use async_trait::async_trait;
use error_reporter::Report;
use futures_util::FutureExt as _;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{Message, backoff};

/// Any error, for a person to read.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What a consumer gets: a durable queue of its own, which outlives it, bound to an exchange.
///
/// Consumers of the same queue share its messages; each queue gets its own copy. Beside the queue there is
/// `<queue>.dead` for what could not be handled, see [`Broker::dead_letters`](crate::Broker::dead_letters).
///
/// A queue keeps the limits that it was first declared with, and the bindings that it was ever given.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The topic exchange, declared when it is missing. At most 255 bytes.
    pub exchange: String,
    /// The queue's name, and so the consumer's. At most 240 bytes.
    pub queue: String,
    /// Which routing keys: `order.created`, `order.*` (one word), `order.#` (any number of words).
    pub patterns: Vec<String>,
    /// How many messages are handled at once. With 1 they are handled in the queue's order.
    pub concurrency: u16,
    /// How many times a message is delivered before it goes to the dead letters: after failures, and after losses of
    /// the connection in mid-handling.
    pub delivery_limit: u32,
    /// How many messages the queue holds before it refuses more ([`Verdict::Nacked`](crate::Verdict::Nacked)).
    pub max_length: u32,
}

impl Subscription {
    /// The keys that match `patterns`, in `queue`; 8 at once, 10 deliveries, a million messages.
    pub fn new<P: Into<String>>(
        exchange: impl Into<String>,
        queue: impl Into<String>,
        patterns: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            exchange: exchange.into(),
            queue: queue.into(),
            patterns: patterns.into_iter().map(Into::into).collect(),
            concurrency: 8,
            delivery_limit: 10,
            max_length: 1_000_000,
        }
    }
}

/// A message that was delivered, and is the handler's until it returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The message. A publisher that is not ours may have left out its kind, its app_id (then empty) or its timestamp
    /// (then 1970).
    pub message: Message,
    /// 1 for the first delivery. More, and it may have been handled before: look at the inbox.
    pub attempt: u32,
}

impl Delivery {
    /// Reads the payload as JSON.
    ///
    /// # Errors
    /// [`Failure::Reject`]: a payload that cannot be read will not be readable next time.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.message.payload).map_err(Failure::reject)
    }
}

/// Why a message was not handled, and what is to become of it. The error goes to the log, so it must not hold secrets.
#[derive(Debug, Error)]
pub enum Failure {
    /// Deliver it again, after a pause that doubles with each attempt, until the delivery limit.
    #[error("to be tried again: {0}")]
    Retry(#[source] BoxError),
    /// Trying again will not help: to the dead letters, at once.
    #[error("rejected: {0}")]
    Reject(#[source] BoxError),
}

impl Failure {
    /// A failure that may pass.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self::Retry(error.into())
    }

    /// A failure that stays.
    pub fn reject(error: impl Into<BoxError>) -> Self {
        Self::Reject(error.into())
    }
}

/// Handles messages. A closure from [`Delivery`] to a future of `Result<(), Failure>` is one.
///
/// The same message may come again, also after success (an acknowledgement can be lost): the effect and the message's
/// id belong into one transaction. A handler needs a deadline of its own; it is not cut short, except when the consumer
/// is dropped. A panic counts as [`Failure::Retry`].
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message. It is acknowledged after `Ok`.
    ///
    /// # Errors
    /// See [`Failure`].
    async fn handle(&self, delivery: Delivery) -> Result<(), Failure>;
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
    /// The message, with its first routing key. The id is nil when it had none that could be read.
    pub message: Message,
    /// `rejected`, or `delivery_limit`.
    pub reason: String,
}

/// What is to become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    Done,
    Again,
    Dead,
}

/// Lets `handler` handle a delivery. After a failure to be tried again, waits as long as that attempt is worth; the
/// message stays with this consumer for that time, so that a queue of one at a time keeps its order.
pub(crate) async fn handle(
    handler: &dyn Handler,
    delivery: Delivery,
    queue: &str,
    stop: &CancellationToken,
) -> Settlement {
    let (id, attempt) = (delivery.message.id, delivery.attempt);
    let kind = delivery.message.kind.clone();
    let outcome = AssertUnwindSafe(handler.handle(delivery)).catch_unwind().await;
    match outcome.unwrap_or_else(|_| Err(Failure::retry("the handler panicked"))) {
        Ok(()) => Settlement::Done,
        Err(Failure::Retry(error)) => {
            let pause = backoff::after(attempt);
            tracing::warn!(queue, %id, kind, attempt, ?pause, error = %Report::new(&*error), "not handled, tried again");
            // A stopping consumer hands the message back at once.
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            Settlement::Again
        }
        Err(Failure::Reject(error)) => {
            tracing::error!(queue, %id, kind, attempt, error = %Report::new(&*error), "rejected, to the dead letters");
            Settlement::Dead
        }
    }
}
