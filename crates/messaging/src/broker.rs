use std::{fmt, sync::Arc};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    BrokerError, DeadLetter, Handler, InvalidBrokerUrl, Publisher, PublisherOptions, Subscription,
    backend::Backend, in_process::InProcessBroker, rabbitmq::RabbitMq,
};

/// A message broker. Cloning is cheap; every publisher and every consumer has its own connection.
///
/// The kind of broker is known only to the function that made it, so a program that opens no RabbitMQ has no client of
/// RabbitMQ linked into it.
#[derive(Clone)]
pub struct Broker(Arc<dyn Backend>);

impl From<RabbitMq> for Broker {
    fn from(rabbitmq: RabbitMq) -> Self {
        Self(Arc::new(rabbitmq))
    }
}

impl From<InProcessBroker> for Broker {
    fn from(broker: InProcessBroker) -> Self {
        Self(Arc::new(broker))
    }
}

#[cfg(feature = "sqlite")]
impl From<crate::in_process::SqliteBroker> for Broker {
    fn from(broker: crate::in_process::SqliteBroker) -> Self {
        Self(Arc::new(broker))
    }
}

impl Broker {
    /// The broker at `url`: `amqp:` and `amqps:` are a RabbitMQ, `memory:` is `embedded`. Nothing is connected yet.
    ///
    /// An `amqp` URL without a path, with the path `/`, `//` or `/%2f` means the virtual host `/`.
    ///
    /// # Errors
    /// Another scheme, no host, a parameter about security that is not supported, or `memory:` without an embedded broker.
    pub fn open(url: &str, embedded: Option<&Self>) -> Result<Self, InvalidBrokerUrl> {
        if url == "memory:" {
            return embedded.cloned().ok_or(InvalidBrokerUrl::NotEmbedded);
        }
        Ok(RabbitMq::new(url)?.into())
    }

    /// A publisher, not yet connected.
    pub fn publisher(&self, options: PublisherOptions) -> Box<dyn Publisher> {
        self.0.publisher(options)
    }

    /// Declares the subscription's queue, so that it receives what is published from now on, even before it is consumed.
    ///
    /// # Errors
    /// The broker is away, or has such a queue with other limits.
    pub async fn declare(&self, subscription: &Subscription) -> Result<(), BrokerError> {
        self.0.declare(subscription).await
    }

    /// Declares the subscription's queue and consumes from it until `stop` is cancelled; then takes no more, lets the
    /// handler finish what it has, and returns. While the broker is away, tries again with growing, jittered pauses.
    ///
    /// Dropping the future is like a crash: what the handler has is delivered again.
    pub async fn consume<H: Handler>(&self, subscription: Subscription, handler: H, stop: CancellationToken) {
        self.0.consume(&subscription, &handler, &stop).await;
    }

    /// Returns at most `limit` dead letters of `queue`, oldest first, and leaves them there.
    ///
    /// RabbitMQ moves the returned messages behind the others, so the next call returns different ones.
    ///
    /// # Errors
    /// The broker is away, or has no such queue.
    pub async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        self.0.dead_letters(queue, limit).await
    }

    /// Moves at most `limit` dead letters of `queue` back into that queue and no other, with their original
    /// routing key and their attempts reset. Returns how many. If it is interrupted, a message may be in both queues.
    ///
    /// # Errors
    /// The broker is away, or has no such queue; or the queue is full, and the rest stays dead.
    pub async fn replay_dead_letters(&self, queue: &str, limit: usize) -> Result<usize, BrokerError> {
        self.0.replay_dead_letters(queue, limit).await
    }

    /// The dead letter of `queue` with this message id, which stays there; the oldest, if there are several. RabbitMQ can
    /// only be searched from the oldest on, and moves the searched messages behind the others.
    ///
    /// # Errors
    /// The broker is away, or has no such queue.
    pub async fn dead_letter(&self, queue: &str, id: Uuid) -> Result<Option<DeadLetter>, BrokerError> {
        self.0.dead_letter(queue, id).await
    }

    /// Moves one dead letter back into its queue, as [`Broker::replay_dead_letters`] does. Returns whether it was moved: there
    /// was one with this message id, and the queue had room for it.
    ///
    /// # Errors
    /// The broker is away, or has no such queue.
    pub async fn replay_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        self.0.replay_dead_letter(queue, id).await
    }

    /// Deletes one dead letter. Returns whether there was one with this message id.
    ///
    /// # Errors
    /// The broker is away, or has no such queue.
    pub async fn discard_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        self.0.discard_dead_letter(queue, id).await
    }
}

impl fmt::Display for Broker {
    /// Its address, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({})", self.0)
    }
}
