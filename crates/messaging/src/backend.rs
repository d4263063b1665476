//! What every kind of broker must be able to do.

use std::fmt;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    consume::{DeadLetter, Handler, Subscription},
    error::BrokerError,
    publish::{Publisher, PublisherOptions},
};

/// One kind of broker, at one address. [`Broker`](crate::Broker) says what each method does. Shown without its password.
#[async_trait]
pub(crate) trait Backend: fmt::Display + Send + Sync {
    fn publisher(&self, options: PublisherOptions) -> Box<dyn Publisher>;

    async fn declare(&self, subscription: &Subscription) -> Result<(), BrokerError>;

    async fn consume(&self, subscription: &Subscription, handler: &dyn Handler, stop: &CancellationToken);

    async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, BrokerError>;

    async fn replay_dead_letters(&self, queue: &str, limit: usize) -> Result<usize, BrokerError>;

    async fn dead_letter(&self, queue: &str, id: Uuid) -> Result<Option<DeadLetter>, BrokerError>;

    async fn replay_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError>;

    async fn discard_dead_letter(&self, queue: &str, id: Uuid) -> Result<bool, BrokerError>;
}
