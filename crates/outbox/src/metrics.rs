use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// What a publisher tells Prometheus. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct OutboxMetrics {
    pub(crate) pending: Gauge,
    pub(crate) dead: Gauge,
    pub(crate) oldest_pending: Gauge,
    pub(crate) published: Counter,
    pub(crate) confirms: Family<ConfirmLabels, Counter>,
    pub(crate) window: Histogram,
    pub(crate) delay: Histogram,
    pub(crate) blocked: Counter<f64, AtomicU64>,
    pub(crate) epoch: Gauge,
    pub(crate) leader: Gauge,
    pub(crate) retired: Counter,
    pub(crate) errors: Family<ErrorLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ConfirmLabels {
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    Ack,
    Nack,
    Returned,
    Refused,
    /// No answer before the deadline: it may have arrived.
    TimedOut,
    /// The connection broke before the answer: it may have arrived.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ErrorLabels {
    pub(crate) source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Source {
    Broker,
    Database,
}

impl Default for OutboxMetrics {
    fn default() -> Self {
        Self {
            pending: Gauge::default(),
            dead: Gauge::default(),
            oldest_pending: Gauge::default(),
            published: Counter::default(),
            confirms: Family::default(),
            window: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            delay: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            blocked: Counter::default(),
            epoch: Gauge::default(),
            leader: Gauge::default(),
            retired: Counter::default(),
            errors: Family::default(),
        }
    }
}

impl OutboxMetrics {
    /// Adds the metrics, named `outbox_…`, to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("outbox");
        registry.register("pending", "Rows that wait to be published, 100,000 at most", self.pending.clone());
        registry.register("dead", "Rows that were given up", self.dead.clone());
        registry.register(
            "oldest_pending_age_seconds",
            "Age of the oldest waiting row",
            self.oldest_pending.clone(),
        );
        registry.register("published", "Rows published and marked", self.published.clone());
        registry.register("confirms", "What the broker said of each message", self.confirms.clone());
        registry.register("window_messages", "Messages in a window", self.window.clone());
        registry.register(
            "publish_delay_seconds",
            "From the row's created_at, its commit nearly, to the broker's confirm",
            self.delay.clone(),
        );
        registry.register(
            "blocked_seconds",
            "Time lost to windows that the broker did not take because of its memory or disk alarm",
            self.blocked.clone(),
        );
        registry.register("epoch", "The fencing epoch of this publisher's last lease", self.epoch.clone());
        registry.register("is_leader", "1 while this publisher holds the lease", self.leader.clone());
        registry.register("retired", "Sent rows removed after their retention", self.retired.clone());
        registry.register("errors", "Failures of what the publisher depends on", self.errors.clone());
    }

    /// How many rows were published and marked, since these metrics were made.
    pub fn published(&self) -> u64 {
        self.published.get()
    }

    pub(crate) fn confirmed(&self, outcome: Outcome, count: usize) {
        self.confirms.get_or_create(&ConfirmLabels { outcome }).inc_by(count as u64);
    }

    pub(crate) fn failed(&self, source: Source) {
        self.errors.get_or_create(&ErrorLabels { source }).inc();
    }
}
