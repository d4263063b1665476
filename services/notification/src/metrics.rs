//! Metrics about notifications.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
};

use crate::{domain::Channel, store::State};

/// Counters of notifications. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    told: Family<Told, Counter>,
    failed: Family<Failed, Counter>,
    seconds: Family<Over, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    channel: &'static str,
    event_type: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    channel: &'static str,
    event_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Over {
    channel: &'static str,
}

impl Metrics {
    /// Creates the counters and registers them with the service's.
    pub(crate) fn register(metrics: &shop_runtime::metrics::Metrics) -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.005, 2.0, 13));
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        let this = Self { told: Family::default(), failed: Family::default(), seconds };
        metrics.register(|registry| {
            registry.register("notifications", "Events that customers were told about", this.told.clone());
            registry.register(
                "notifications_failed",
                "Attempts to tell a customer that failed",
                this.failed.clone(),
            );
            registry.register("notifications_seconds", "How long an attempt took", this.seconds.clone());
        });
        this
    }

    /// An attempt has ended, with a failure if there is no `outcome`.
    pub(crate) fn told(
        &self,
        channel: Channel,
        event_type: &'static str,
        outcome: Option<State>,
        took: Duration,
    ) {
        let channel = channel.as_str();
        match outcome.map(State::as_str) {
            Some(outcome) => {
                self.told.get_or_create(&Told { channel, event_type, outcome }).inc();
            }
            None => {
                self.failed.get_or_create(&Failed { channel, event_type }).inc();
            }
        }
        self.seconds.get_or_create(&Over { channel }).observe(took.as_secs_f64());
    }
}
