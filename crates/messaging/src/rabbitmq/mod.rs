//! The event bus on RabbitMQ 3.10 or later.

mod bounded;
mod codec;
mod consumer;
mod dead;
mod link;
mod publisher;
mod server;
mod topology;
mod uri;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{bounded::bounded, link::Link};
pub use self::{publisher::RabbitPublisher, server::RabbitMq};
use crate::{BrokerError, DeadLetter, Handler, Publisher, PublisherOptions, Subscription, backend::Backend};

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
