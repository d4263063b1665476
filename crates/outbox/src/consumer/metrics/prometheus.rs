use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::outcome::Outcome;

/// A consumer's Prometheus metrics. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct ConsumerMetrics {
    queue: String,
    handled: Family<OfType, Counter>,
    duplicates: Family<OfType, Counter>,
    ignored: Family<OfType, Counter>,
    retried: Family<OfType, Counter>,
    dead: Family<OfType, Counter>,
    lag: Family<OfType, Histogram>,
    seconds: Family<OfType, Histogram>,
    in_hand: Family<OfQueue, Gauge>,
    forgotten: Family<OfQueue, Counter>,
}

/// The queue, and the type of event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    queue: String,
    event_type: &'static str,
}

/// The queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfQueue {
    queue: String,
}

impl ConsumerMetrics {
    /// The metrics of the consumer of `queue`.
    pub(crate) fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            handled: Family::default(),
            duplicates: Family::default(),
            ignored: Family::default(),
            retried: Family::default(),
            dead: Family::default(),
            // From milliseconds to days: a queue may have waited.
            lag: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 4.0, 12))),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 16))),
            in_hand: Family::default(),
            forgotten: Family::default(),
        }
    }

    /// Adds the metrics, named `consumer_…`, to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("consumer");
        registry.register("handled", "Messages whose effect was committed", self.handled.clone());
        registry.register("duplicates", "Messages that were already handled", self.duplicates.clone());
        registry.register("ignored", "Messages without a handler", self.ignored.clone());
        registry.register("retried", "Failed attempts that will be repeated", self.retried.clone());
        registry.register("dead", "Messages sent to the dead letters", self.dead.clone());
        registry.register("lag_seconds", "Age of the event when it was handled", self.lag.clone());
        registry.register("seconds", "How long an attempt took", self.seconds.clone());
        registry.register("in_hand", "Messages being handled", self.in_hand.clone());
        registry.register(
            "forgotten",
            "Messages deleted from the inbox after its retention",
            self.forgotten.clone(),
        );
    }

    /// The metrics of the consumer of `queue`, counted in the same families as these: a name can be registered only once.
    pub(crate) fn of_queue(&self, queue: &str) -> Self {
        Self { queue: queue.to_owned(), ..self.clone() }
    }

    /// Reports the counters of `event_type` as zero from the start, so that an alert sees their first increment.
    pub(crate) fn expect(&self, event_type: &'static str) {
        let of = self.of(event_type);
        for family in [&self.handled, &self.duplicates, &self.retried, &self.dead] {
            drop(family.get_or_create(&of));
        }
    }

    pub(crate) fn count(&self, event_type: &'static str, outcome: Outcome, took: Duration) {
        let of = self.of(event_type);
        let family = match outcome {
            Outcome::Handled => &self.handled,
            Outcome::Duplicate => &self.duplicates,
            Outcome::Ignored => &self.ignored,
            Outcome::Retried => &self.retried,
            Outcome::Dead => &self.dead,
        };
        family.get_or_create(&of).inc();
        self.seconds.get_or_create(&of).observe(took.as_secs_f64());
    }

    /// An event of `age` was handled.
    pub(crate) fn lag(&self, event_type: &'static str, age: Duration) {
        self.lag.get_or_create(&self.of(event_type)).observe(age.as_secs_f64());
    }

    /// Counts a message as being handled until this is dropped.
    pub(crate) fn in_hand(&self) -> InHand {
        let gauge = self.in_hand.get_or_create_owned(&OfQueue { queue: self.queue.clone() });
        gauge.inc();
        InHand(gauge)
    }

    pub(crate) fn forgotten(&self, count: u64) {
        self.forgotten.get_or_create(&OfQueue { queue: self.queue.clone() }).inc_by(count);
    }

    fn of(&self, event_type: &'static str) -> OfType {
        OfType { queue: self.queue.clone(), event_type }
    }
}

pub(crate) struct InHand(Gauge);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.dec();
    }
}
