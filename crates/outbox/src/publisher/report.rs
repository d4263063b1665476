//! What a publisher reports about itself, in its log, its metrics and its progress.

use std::time::Duration;

use shop_messaging::PublishError;

use super::{
    Publisher,
    obstacle::{Obstacle, database_trouble},
    trouble::Trouble,
};
use crate::metrics::Source;

impl Publisher {
    /// Describes `obstacle` for people. It may have to find out, which takes some seconds at most.
    pub(super) async fn trouble_behind(&mut self, obstacle: &Obstacle) -> Trouble {
        match obstacle {
            Obstacle::Database(error) => database_trouble(&self.store, error).await,
            Obstacle::Broker(error @ PublishError::Fenced(name)) => {
                if self.rivalry.is_shut_out_by_somebody(self.options.lease) {
                    Trouble::Rival(error.to_string())
                } else {
                    Trouble::Predecessor(format!(
                        "the broker keeps the connection of the publisher before until it misses it ({name})"
                    ))
                }
            }
            Obstacle::Broker(PublishError::QueuesMissing(queues)) => Trouble::QueuesMissing(queues.clone()),
            Obstacle::Broker(error) => Trouble::Broker(error.to_string()),
        }
    }

    /// Reports `trouble`, the last of `failures` consecutive failures, followed by a `pause`.
    pub(super) fn report(&self, trouble: Trouble, failures: u32, pause: Duration) {
        self.metrics.failed(match trouble {
            Trouble::Database(_) | Trouble::NoOutbox(_) => Source::Database,
            Trouble::Broker(_) | Trouble::QueuesMissing(_) | Trouble::Predecessor(_) | Trouble::Rival(_) => {
                Source::Broker
            }
        });
        // The first one is logged, and one that lasts; not the many in between.
        if failures.is_power_of_two() {
            tracing::warn!(error = %trouble, failures, ?pause, "nothing is published until this is over");
        }
        self.trouble(Some(trouble));
    }

    pub(super) fn trouble(&self, trouble: Option<Trouble>) {
        self.metrics.queues_missing.set(match &trouble {
            Some(Trouble::QueuesMissing(queues)) => queues.len() as i64,
            _ => 0,
        });
        self.progress.send_if_modified(|progress| {
            let publishing = progress.publishing && trouble.is_none();
            let changed = progress.trouble != trouble || progress.publishing != publishing;
            progress.trouble = trouble;
            progress.publishing = publishing;
            changed
        });
    }

    /// Reports that the database and the broker are there, and that there is no rival.
    pub(super) fn all_is_well(&mut self) {
        self.rivalry.let_in();
        self.metrics.queues_missing.set(0);
        if self.rivalry.is_recent() {
            return;
        }
        self.progress.send_if_modified(|progress| {
            let changed = !progress.publishing || progress.trouble.is_some();
            progress.publishing = true;
            progress.trouble = None;
            changed
        });
    }
}
