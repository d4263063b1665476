use std::{fmt, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    BrokerError, DeadLetter, Handler, InvalidBrokerUrl, Publisher, PublisherOptions, Subscription,
    in_process::{InProcessBroker, InProcessPublisher},
    rabbitmq::{RabbitMq, RabbitPublisher},
};

/// Where messages go through. Cloning is cheap; every publisher and every consumer has a connection of its own.
#[derive(Clone, Debug)]
pub enum Broker {
    /// A RabbitMQ, 3.10 or later.
    RabbitMq(Arc<RabbitMq>),
    /// The exchange of this process.
    InProcess(InProcessBroker),
}

impl Broker {
    /// The broker at `url`: `amqp:` and `amqps:` are a RabbitMQ, `memory:` is `embedded`. Nothing is connected yet.
    ///
    /// An `amqp` URL without a path, with the path `/`, `//` or `/%2f` means the virtual host `/`.
    ///
    /// # Errors
    /// Another scheme, no host, a parameter about security that cannot be heeded, or `memory:` without an embedded broker.
    pub fn open(url: &str, embedded: Option<&InProcessBroker>) -> Result<Self, InvalidBrokerUrl> {
        if url == "memory:" {
            return embedded.cloned().map(Self::InProcess).ok_or(InvalidBrokerUrl::NotEmbedded);
        }
        Ok(Self::RabbitMq(Arc::new(RabbitMq::new(url)?)))
    }

    /// A publisher, not yet connected.
    pub fn publisher(&self, options: PublisherOptions) -> Box<dyn Publisher> {
        match self {
            Self::RabbitMq(rabbitmq) => Box::new(RabbitPublisher::new(rabbitmq, options)),
            Self::InProcess(broker) => Box::new(InProcessPublisher::new(broker, options)),
        }
    }

    /// Declares the subscription's queue, so that it gets what is published from now on, before anyone consumes it.
    ///
    /// # Errors
    /// The broker is away, or has such a queue with other limits.
    pub async fn declare(&self, subscription: &Subscription) -> Result<(), BrokerError> {
        match self {
            Self::RabbitMq(rabbitmq) => rabbitmq.declare(subscription).await,
            Self::InProcess(broker) => {
                broker.declare(subscription);
                Ok(())
            }
        }
    }

    /// Declares the subscription's queue and consumes from it until `stop` is cancelled; then takes no more, lets the
    /// handler finish what it has, and returns. While the broker is away, tries again with growing, jittered pauses.
    ///
    /// Dropped before that, it is a crash: what the handler has is delivered again.
    pub async fn consume<H: Handler>(&self, subscription: Subscription, handler: H, stop: CancellationToken) {
        match self {
            Self::RabbitMq(rabbitmq) => rabbitmq.consume(&subscription, &handler, &stop).await,
            Self::InProcess(broker) => broker.consume(&subscription, &handler, &stop).await,
        }
    }

    /// Looks at dead letters of `queue`, the oldest first, `limit` at most, and leaves them there.
    ///
    /// RabbitMQ puts what was looked at behind what was not, so the next look begins with others.
    ///
    /// # Errors
    /// The broker is away, or knows no such queue.
    pub async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        match self {
            Self::RabbitMq(rabbitmq) => rabbitmq.dead_letters(queue, limit).await,
            Self::InProcess(broker) => broker.dead_letters(queue, limit),
        }
    }

    /// Moves dead letters of `queue`, `limit` at most, back into that queue and no other, with their first
    /// routing key and their attempts forgotten. Answers how many. One that is interrupted may leave a message in both.
    ///
    /// # Errors
    /// The broker is away, or knows no such queue; or the queue is full, and the rest stays dead.
    pub async fn replay_dead_letters(&self, queue: &str, limit: usize) -> Result<usize, BrokerError> {
        match self {
            Self::RabbitMq(rabbitmq) => rabbitmq.replay_dead_letters(queue, limit).await,
            Self::InProcess(broker) => broker.replay_dead_letters(queue, limit),
        }
    }
}

impl fmt::Display for Broker {
    /// Where it is, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RabbitMq(rabbitmq) => rabbitmq.fmt(f),
            Self::InProcess(_) => f.write_str("memory:"),
        }
    }
}
