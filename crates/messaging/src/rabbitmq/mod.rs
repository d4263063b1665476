//! The event bus on RabbitMQ 3.10 or later.

mod codec;
mod consumer;
mod dead;
mod link;
mod publisher;
mod topology;
mod uri;

use std::{fmt, time::Duration};

use async_trait::async_trait;
pub use publisher::RabbitPublisher;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::link::{Cause, Link};
use crate::{
    BrokerError, DeadLetter, Handler, InvalidBrokerUrl, Publisher, PublisherOptions, Subscription,
    backend::Backend,
};

/// How long one administrative step may take: a declaration, reading the dead letters, the replay of one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a RabbitMQ is. Nothing is connected: every publisher and every consumer has a connection of its own.
#[derive(Clone)]
pub struct RabbitMq {
    uri: uri::Uri,
}

impl RabbitMq {
    /// The RabbitMQ at `url`, `amqp://user:password@host:port/vhost` or the same with `amqps`.
    ///
    /// Without a path, with the path `/`, `//` or `/%2f`, the virtual host is `/`.
    ///
    /// # Errors
    /// Another scheme, or no host.
    pub fn new(url: &str) -> Result<Self, InvalidBrokerUrl> {
        Ok(Self { uri: url.parse()? })
    }
}

#[async_trait]
impl Backend for RabbitMq {
    fn publisher(&self, options: PublisherOptions) -> Box<dyn Publisher> {
        Box::new(RabbitPublisher::new(self, options))
    }

    async fn declare(&self, subscription: &Subscription) -> Result<(), BrokerError> {
        let declare = async {
            let link = Link::open(&self.uri, &subscription.queue).await?;
            topology::subscription(&link.channel().await?, subscription).await?;
            Ok(link)
        };
        bounded(declare).await?.close().await;
        Ok(())
    }

    async fn consume(&self, subscription: &Subscription, handler: &dyn Handler, stop: &CancellationToken) {
        consumer::consume(self, subscription, handler, stop).await;
    }

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        dead::look(self, queue, limit).await
    }

    async fn replay_dead_letters(&self, queue: &str, limit: usize) -> Result<usize, BrokerError> {
        dead::replay(self, queue, limit).await
    }

    async fn dead_letter(&self, queue: &str, id: Uuid) -> Result<Option<DeadLetter>, BrokerError> {
        dead::show(self, queue, id).await
    }

    async fn replay_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        dead::replay_one(self, queue, id).await
    }

    async fn discard_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError> {
        dead::discard_one(self, queue, id).await
    }
}

impl fmt::Display for RabbitMq {
    /// The address, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMq({})", self.uri)
    }
}

async fn bounded<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
    let late = |_| BrokerError::Disconnected(format!("no answer within {PATIENCE:?}"));
    let done = tokio::time::timeout(PATIENCE, work).await.map_err(late)?;
    done.map_err(|error| match Cause::from(&error) {
        Cause::Channel(_, text) => BrokerError::Refused(text),
        Cause::Connection(text) => BrokerError::Disconnected(text),
    })
}
