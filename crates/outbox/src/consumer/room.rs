//! Everything around a handler, for each message.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use shop_messaging::{BoxError, Delivery, Failure, Subscription};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::Instrument as _;

use super::{
    ConsumerMetrics, Database, Options, Progress, Unknown,
    handler::{AnyHandler, Effect, Handlers},
    metrics::{Outcome, UNKNOWN},
    span,
};
use crate::{Transaction, inbox::Receipt};

/// How long rolling back a failed attempt may take. After that its connection is closed, which also rolls it back.
const ROLLBACK: Duration = Duration::from_secs(1);

/// Handles the messages of one queue.
pub(super) struct Room<D: Database> {
    subscription: Subscription,
    handlers: Handlers<D::Transaction>,
    database: D,
    options: Options,
    metrics: ConsumerMetrics,
    progress: watch::Sender<Progress>,
}

impl<D: Database> Room<D> {
    pub(super) fn new(
        subscription: &Subscription,
        handlers: Handlers<D::Transaction>,
        database: D,
        options: Options,
        metrics: ConsumerMetrics,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { subscription: subscription.clone(), handlers, database, options, metrics, progress }
    }

    async fn attempt(
        &self,
        handler: &dyn AnyHandler<D::Transaction>,
        delivery: &Delivery,
    ) -> Result<Outcome, Failure> {
        let limit = self.options.time_limit;
        let late = || format!("not done within {limit:?}");
        let received = timeout(limit, self.receive(delivery)).await;
        let Some(mut transaction) = received.map_err(|_| Failure::away(late()))?.map_err(Failure::Away)?
        else {
            return Ok(Outcome::Duplicate);
        };
        let effect = timeout(limit, self.effect(handler, &mut transaction, delivery)).await;
        if let Err(failure) = effect.unwrap_or_else(|_| Err(Failure::retry(late()))) {
            // An error and a missing answer have the same effect: nothing is stored.
            let _ = timeout(ROLLBACK, transaction.rollback()).await;
            return Err(failure);
        }
        let committed = timeout(limit, transaction.commit()).await;
        committed.map_err(|_| Failure::retry(late()))?.map_err(Failure::retry)?;
        Ok(Outcome::Handled)
    }

    /// The handler's effect, and the events that it announces, in the transaction.
    async fn effect(
        &self,
        handler: &dyn AnyHandler<D::Transaction>,
        transaction: &mut D::Transaction,
        delivery: &Delivery,
    ) -> Result<(), Failure> {
        let Effect { events } = handler.handle(transaction, delivery).await?;
        for event in &events {
            transaction.append(event).await.map_err(Failure::retry)?;
        }
        match transaction.holds(&self.subscription.queue, delivery.message.id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::retry("the transaction was rolled back while the handler ran")),
            Err(error) => Err(Failure::retry(error)),
        }
    }

    /// Returns the transaction in which the message is recorded in the inbox; `None` for a duplicate. A failure is not the message's fault.
    async fn receive(&self, delivery: &Delivery) -> Result<Option<D::Transaction>, BoxError> {
        let mut transaction = self.database.begin().await?;
        match transaction.receive(&self.subscription.queue, delivery.message.id).await? {
            Receipt::New => Ok(Some(transaction)),
            Receipt::Duplicate => {
                // There is nothing to store, and an error does not change that.
                let _ = transaction.rollback().await;
                Ok(None)
            }
        }
    }

    async fn handled(&self, delivery: &Delivery) -> (&'static str, Result<Outcome, Failure>) {
        match (self.handlers.of(delivery), self.options.unknown) {
            (Some((event_type, handler)), _) => {
                let attempt = AssertUnwindSafe(self.attempt(handler, delivery)).catch_unwind().await;
                let panicked = |_| Err(Failure::retry("the handler panicked"));
                (event_type, attempt.unwrap_or_else(panicked))
            }
            (None, Unknown::Ignore) => (UNKNOWN, Ok(Outcome::Ignored)),
            (None, Unknown::Reject) => (UNKNOWN, Err(Failure::reject("no handler is registered for it"))),
        }
    }

    /// The label for the outcome. The last attempt is the queue's last delivery, or the consumer's.
    fn counted(&self, delivery: &Delivery, outcome: &Result<Outcome, Failure>) -> Outcome {
        match outcome {
            Ok(outcome) => *outcome,
            Err(Failure::Reject(_)) => Outcome::Dead,
            Err(Failure::Retry(_)) if delivery.attempt >= self.subscription.delivery_limit => Outcome::Dead,
            Err(Failure::Retry(_) | Failure::Away(_)) => Outcome::Retried,
        }
    }
}

#[async_trait]
impl<D: Database> shop_messaging::Handler for Room<D> {
    async fn handle(&self, delivery: Delivery) -> Result<(), Failure> {
        let _in_hand = self.metrics.in_hand();
        let (began, span) = (Instant::now(), span::of(&delivery, &self.subscription, self.options.trace));
        let (event_type, outcome) = self.handled(&delivery).instrument(span.clone()).await;
        let counted = self.counted(&delivery, &outcome);
        let error = outcome.as_ref().err().map(ToString::to_string);
        span::ended(&span, counted.name(), error.as_deref());
        self.metrics.count(event_type, counted, began.elapsed());
        if counted == Outcome::Handled {
            self.metrics.lag(event_type, age(delivery.message.timestamp));
        }
        self.progress.send_modify(|progress| match &error {
            None => progress.handled(Instant::now()),
            Some(error) => progress.failed(Instant::now(), error),
        });
        outcome.map(drop)
    }

    fn consuming(&self) {
        self.progress.send_modify(Progress::connected);
    }

    fn not_consuming(&self, error: &str) {
        self.progress.send_modify(|progress| progress.disconnected(Instant::now(), error));
    }
}

/// The age of an event. One from the future counts as new: its time comes from another clock.
#[expect(clippy::disallowed_methods, reason = "a measurement of real events, which no test can own")]
fn age(occurred_at: DateTime<Utc>) -> Duration {
    (Utc::now() - occurred_at).to_std().unwrap_or_default()
}
