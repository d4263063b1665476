use std::time::Duration;

use async_trait::async_trait;

use crate::{Message, PublishError};

/// The broker's verdict on one message of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in every queue that it was routed to, and it was routed to at least one.
    Confirmed,
    /// No queue is bound for its routing key (`basic.return`, mandatory). The broker did not keep it.
    Returned(String),
    /// The broker did not accept it (`basic.nack`): a full queue with `reject-publish`, or an error in the broker.
    Nacked,
    /// It was not sent: it cannot be encoded, or exceeds the publisher's limit. Retrying will not help.
    Refused(String),
}

/// How to publish: to which exchange, under which name, and what has to exist there.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The topic exchange. At most 255 bytes.
    pub exchange: String,
    /// The connection's name, for people who look at the broker.
    pub name: String,
    /// Whether to declare the exchange (durable). Otherwise it is only checked that there is one, which needs no permission to
    /// configure.
    pub declare_exchange: bool,
    /// A log of everything published, declared beside the exchange.
    pub event_log: Option<EventLog>,
    /// Queues that must exist before anything is published, or [`PublishError::QueuesMissing`](crate::PublishError::QueuesMissing):
    /// then no event is missed by a consumer that has not started yet. Checked on connecting, and again now and then.
    pub required_queues: Vec<String>,
    /// An exclusive queue that the publisher holds while it is connected, so that there is at most one such publisher;
    /// another gets [`PublishError::Fenced`]. At most 255 bytes.
    pub fence: Option<String>,
    /// How long the broker waits for a sign of life before it ends the connection, and with it the fence: whole seconds, at least 1;
    /// in effect between once and twice as long. `None`: as the address says, or 10 seconds. The shorter of the two applies.
    pub heartbeat: Option<Duration>,
    /// The largest payload, in bytes; a larger one is [`Verdict::Refused`] unsent. No more than the broker's own limit.
    pub max_payload: usize,
}

impl PublisherOptions {
    /// Publishes to `exchange`, which is declared, as `name`; no fence, no event log, no required queues, payloads of 1 MiB at most.
    pub fn new(exchange: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            name: name.into(),
            declare_exchange: true,
            event_log: None,
            required_queues: Vec::new(),
            fence: None,
            heartbeat: None,
            max_payload: 1024 * 1024,
        }
    }
}

/// A bounded log of every message of the exchange: with it, every message is routable, and can be read before any consumer exists.
/// In RabbitMQ it is a quorum queue that drops its oldest messages, in process a ring of the last thousand.
///
/// It is not a stream, because neither RabbitMQ's management page nor `basic.get` can read one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    /// The queue's name. At most 255 bytes.
    pub name: String,
    /// How many messages are kept.
    pub max_messages: u32,
    /// How many bytes of them are kept.
    pub max_bytes: u64,
}

impl EventLog {
    /// How many messages a log inside the process keeps, whatever it says.
    pub(crate) const EMBEDDED_LENGTH: usize = 1000;

    /// A log of the last 10,000 messages, of 64 MiB at most.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), max_messages: 10_000, max_bytes: 64 << 20 }
    }
}

/// Publishes windows of messages, pipelined, each message persistent, mandatory and confirmed on its own.
#[async_trait]
pub trait Publisher: Send {
    /// Publishes `window` and waits, at most for `deadline`, until the broker has answered for every message in it.
    ///
    /// Verdicts are in the window's order. Messages are sent in that order too, on one channel.
    ///
    /// # Errors
    /// See [`PublishError`]: the outcome of every message is then unknown.
    async fn publish(&mut self, window: &[Message], deadline: Duration)
    -> Result<Vec<Verdict>, PublishError>;

    /// Connects, so that [`Publisher::ready`] takes less time, but does not take the fence: for publishers that wait for their turn.
    /// A connection that is open already is kept.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn warm_up(&mut self, _deadline: Duration) -> Result<(), PublishError> {
        Ok(())
    }

    /// Connects and takes the fence, without publishing.
    ///
    /// # Errors
    /// See [`PublishError`].
    async fn ready(&mut self, deadline: Duration) -> Result<(), PublishError>;

    /// Closes the connection in an orderly way, within a second, so that a successor finds the fence free. It is optional: a
    /// publisher may be dropped without it, and may be used again after it.
    async fn close(&mut self) {}
}
