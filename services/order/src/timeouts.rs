//! Cancels orders that nobody settled in time. Every replica does it, and they share the work.

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::DbErr;
use shop_core::Clock;
use shop_runtime::Lifecycle;

use crate::{metrics::Metrics, store::Store};

/// How often overdue orders are looked for, unless they time out within less than a few rounds.
const ROUND: Duration = Duration::from_secs(10);

/// How long a replica leaves overdue orders alone after its start: if the shop was away, what settles them may be waiting in the queue.
const BEFORE_FIRST: Duration = Duration::from_secs(30);

/// How many orders one transaction cancels.
const CHUNK: u64 = 50;

/// Cancels orders that have been pending for longer than `patience`.
pub(crate) struct TimeOuts {
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) patience: Duration,
}

impl TimeOuts {
    /// Does so until the service stops.
    pub(crate) fn run(self, lifecycle: &Lifecycle) {
        let stopping = lifecycle.stopping();
        lifecycle.spawn("order time-outs", async move {
            let round = ROUND.min(self.patience / 4);
            let mut pause = BEFORE_FIRST.min(self.patience);
            while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
                // It is tried again next round; if the database is away, the requests that need it report it.
                if let Err(error) = self.round(|| stopping.is_cancelled()).await {
                    tracing::warn!(%error, "overdue orders could not be cancelled");
                }
                // Replicas that started together do not look at the same time.
                pause = round.mul_f64(rand::random_range(0.5..=1.0));
            }
            Ok(())
        });
    }

    async fn round(&self, is_stopping: impl Fn() -> bool) -> Result<(), DbErr> {
        let patience = TimeDelta::from_std(self.patience).unwrap_or(TimeDelta::MAX);
        let mut count = 0;
        while !is_stopping() {
            let cancelled = self.store.time_out(patience, CHUNK).await?;
            for order in &cancelled {
                self.metrics.moved(order, self.clock.now());
            }
            count += cancelled.len();
            if (cancelled.len() as u64) < CHUNK {
                break;
            }
        }
        if count > 0 {
            tracing::info!(count, "cancelled orders that were not confirmed in time");
        }
        self.metrics.oldest_pending(self.store.oldest_pending().await?);
        Ok(())
    }
}
