use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use super::{
    super::fences::Fence,
    file::File,
    queue::{self, Routes},
};
use crate::{Message, PublishError, Publisher, PublisherOptions, Verdict};

/// Publishes into the file: a window is one transaction.
pub(super) struct SqlitePublisher {
    file: Arc<File>,
    options: PublisherOptions,
    connected: Option<Connected>,
}

/// Connected, and holding the fence if one is required.
struct Connected(#[expect(dead_code, reason = "held, not read")] Option<Fence>);

impl SqlitePublisher {
    /// A publisher, not yet connected.
    pub(super) fn new(file: Arc<File>, options: PublisherOptions) -> Self {
        Self { file, options, connected: None }
    }

    async fn connect(&mut self) -> Result<(), PublishError> {
        if self.connected.is_some() {
            return Ok(());
        }
        let fence = match &self.options.fence {
            Some(name) => {
                let fence = self.file.memory().fences.take(name);
                Some(fence.ok_or_else(|| PublishError::Fenced(name.clone()))?)
            }
            None => None,
        };
        let Some(missing) = self.prepare().await.map_err(|error| self.failed(&error))? else {
            return Err(self.no_exchange());
        };
        if !missing.is_empty() {
            return Err(PublishError::QueuesMissing(missing));
        }
        self.connected = Some(Connected(fence));
        Ok(())
    }

    /// Creates what has to exist, and returns the required queues that do not. `None`: the exchange is missing, and must not be created.
    async fn prepare(&self) -> Result<Option<Vec<String>>, sqlx::Error> {
        let PublisherOptions { exchange, declare_exchange, event_log, .. } = &self.options;
        let mut transaction = self.file.begin().await?;
        if *declare_exchange {
            queue::declare_exchange(&mut transaction, exchange).await?;
        } else if !queue::has_exchange(&mut transaction, exchange).await? {
            return Ok(None);
        }
        if let Some(log) = event_log {
            queue::declare_log(&mut transaction, exchange, log).await?;
        }
        let mut missing = Vec::new();
        for name in &self.options.required_queues {
            if queue::delivery_limit(&mut transaction, name).await?.is_none() {
                missing.push(name.clone());
            }
        }
        transaction.commit().await?;
        Ok(Some(missing))
    }

    async fn send(&mut self, window: &[Message]) -> Result<Vec<Verdict>, PublishError> {
        self.connect().await?;
        self.commit(window).await.map_err(|error| self.failed(&error))?.ok_or_else(|| self.no_exchange())
    }

    /// The verdicts, once they are on disk; `None` if the exchange is gone.
    async fn commit(&self, window: &[Message]) -> Result<Option<Vec<Verdict>>, sqlx::Error> {
        let exchange = &self.options.exchange;
        let mut transaction = self.file.begin().await?;
        if !queue::has_exchange(&mut transaction, exchange).await? {
            return Ok(None);
        }
        let routes = Routes::of(&mut transaction, exchange).await?;
        let mut verdicts = Vec::with_capacity(window.len());
        let mut reached = HashSet::new();
        for message in window {
            if let Some(reason) = message.refusal(self.options.max_payload) {
                verdicts.push(Verdict::Refused(reason));
                continue;
            }
            let queues = routes.to(&message.routing_key);
            let mut verdict =
                if queues.is_empty() { Verdict::Returned("NO_ROUTE".to_owned()) } else { Verdict::Confirmed };
            for queue in queues {
                if queue::push(&mut transaction, queue, message).await? {
                    reached.insert(queue);
                } else {
                    verdict = Verdict::Nacked;
                }
            }
            verdicts.push(verdict);
        }
        queue::trim_logs(&mut transaction, exchange).await?;
        transaction.commit().await?;
        for queue in reached {
            self.file.wake(queue);
        }
        Ok(Some(verdicts))
    }

    fn failed(&self, error: &sqlx::Error) -> PublishError {
        PublishError::Disconnected(format!("{}: {error}", self.file.path().display()))
    }

    fn no_exchange(&self) -> PublishError {
        PublishError::ExchangeMissing(format!("NOT_FOUND - no exchange '{}'", self.options.exchange))
    }
}

#[async_trait]
impl Publisher for SqlitePublisher {
    async fn publish(
        &mut self,
        window: &[Message],
        deadline: Duration,
    ) -> Result<Vec<Verdict>, PublishError> {
        let sent = timeout(deadline, self.send(window)).await;
        let verdicts = sent.unwrap_or(Err(PublishError::TimedOut(deadline)));
        if verdicts.is_err() {
            self.connected = None;
        }
        verdicts
    }

    async fn ready(&mut self, deadline: Duration) -> Result<(), PublishError> {
        timeout(deadline, self.connect()).await.unwrap_or(Err(PublishError::TimedOut(deadline)))
    }

    async fn close(&mut self) {
        self.connected = None;
    }
}
