//! What can go wrong with a broker, as far as callers act on it.

use std::time::Duration;

use thiserror::Error;

/// The text is not the address of a broker. The text itself is left out, because it may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidBrokerUrl {
    /// Not in a known form.
    #[error("a broker's URL is amqp://user:password@host:port/vhost, the same with amqps, or memory:")]
    Malformed,
    /// A user name, a password or a virtual host with a character that ends it early.
    #[error("there is a raw `{0}` in the user name, password or virtual host: percent-encode it")]
    Raw(char),
    /// A security parameter in the address that is not supported.
    #[error("`{0}`: {1}")]
    Parameter(String, &'static str),
    /// `memory:` in a process without an embedded broker.
    #[error("memory: is the broker of the all-in-one process only")]
    NotEmbedded,
}

/// Why the broker did not carry out a request.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// There is no broker at the address, it refuses the login, or the connection broke.
    #[error("the broker is away: {0}")]
    Disconnected(String),
    /// The broker refused: there is no such queue, or no permission to use it.
    #[error("the broker refused: {0}")]
    Refused(String),
}

/// Why a window failed as a whole: the outcome of each of its messages is unknown, and some may have arrived.
///
/// For every reason except [`PublishError::QueuesMissing`], the publisher has closed its connection; the next window opens
/// a new one.
#[derive(Debug, Error)]
pub enum PublishError {
    /// There is no broker at the address, it refuses the login, or the connection broke.
    #[error("the broker is away: {0}")]
    Disconnected(String),
    /// There is no exchange of that name (AMQP `NOT_FOUND`). A publisher that may declare it does so when it next connects.
    #[error("the exchange is missing: {0}")]
    ExchangeMissing(String),
    /// These queues must exist before anything is published, but do not. Nothing was sent.
    #[error("{} missing at the broker: {}", if .0.len() == 1 { "a required queue is" } else { "required queues are" }, .0.join(", "))]
    QueuesMissing(Vec<String>),
    /// The broker closed the channel for another reason, such as a message that is too large (AMQP `PRECONDITION_FAILED`).
    #[error("the broker closed the channel: {0}")]
    ChannelClosed(String),
    /// The broker did not answer before the deadline.
    #[error("no confirm within {0:?}")]
    TimedOut(Duration),
    /// The broker has blocked publishers (memory or disk alarm) for longer than the deadline.
    #[error("the broker blocks publishers: {0}")]
    Blocked(String),
    /// Another publisher holds the exclusive queue that only one may hold.
    #[error("another publisher is connected under the name {0}")]
    Fenced(String),
}
