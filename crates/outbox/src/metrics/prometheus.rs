use std::{fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, LabelSetEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::labels::{Outcome, Source};

/// A publisher's Prometheus metrics. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct OutboxMetrics {
    /// The label that distinguishes it from others in the same family.
    of: Of,
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
    pub(crate) queues_missing: Gauge,
    pub(crate) retired: Counter,
    pub(crate) errors: Family<ErrorLabels, Counter>,
}

/// The publisher, if there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Of(Option<String>);

impl EncodeLabelSet for Of {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => [("outboxpublisher", name.as_str())].encode(encoder),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ConfirmLabels {
    #[prometheus(flatten)]
    of: Of,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ErrorLabels {
    #[prometheus(flatten)]
    of: Of,
    source: Source,
}

/// Registers each metric of `$all` under its name, with its description: for one publisher and for many alike.
macro_rules! describe {
    ($registry:expr, $all:expr) => {
        let (registry, all) = ($registry.sub_registry_with_prefix("outbox"), $all);
        registry.register("pending", "Pending rows, counted up to 100,000", all.pending.clone());
        registry.register("dead", "Dead rows", all.dead.clone());
        registry.register(
            "oldest_pending_age_seconds",
            "Age of the oldest pending row",
            all.oldest_pending.clone(),
        );
        registry.register("published", "Rows published and marked", all.published.clone());
        registry.register("confirms", "Messages by the broker's answer", all.confirms.clone());
        registry.register("window_messages", "Messages per window", all.window.clone());
        registry.register(
            "publish_delay_seconds",
            "Time from the row's created_at, shortly before its commit, to the broker's confirm",
            all.delay.clone(),
        );
        registry.register(
            "blocked_seconds",
            "Time lost to windows that the broker did not accept because of a memory or disk alarm",
            all.blocked.clone(),
        );
        registry.register("epoch", "The fencing epoch of this publisher's last lease", all.epoch.clone());
        registry.register("is_leader", "1 while this publisher holds the lease", all.leader.clone());
        registry.register(
            "queues_missing",
            "Required queues that do not exist at the broker; nothing is published until they do",
            all.queues_missing.clone(),
        );
        registry.register("retired", "Sent rows deleted after their retention", all.retired.clone());
        registry.register("errors", "Failures of the broker or the database", all.errors.clone());
    };
}

impl Default for OutboxMetrics {
    fn default() -> Self {
        Self {
            of: Of::default(),
            pending: Gauge::default(),
            dead: Gauge::default(),
            oldest_pending: Gauge::default(),
            published: Counter::default(),
            confirms: Family::default(),
            window: windows(),
            delay: delays(),
            blocked: Counter::default(),
            epoch: Gauge::default(),
            leader: Gauge::default(),
            queues_missing: Gauge::default(),
            retired: Counter::default(),
            errors: Family::default(),
        }
    }
}

fn windows() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 10))
}

fn delays() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl OutboxMetrics {
    /// Adds the metrics, named `outbox_…`, to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        describe!(registry, self);
    }

    /// The number of rows published and marked since these metrics were created.
    pub fn published(&self) -> u64 {
        self.published.get()
    }

    pub(crate) fn confirmed(&self, outcome: Outcome, count: usize) {
        let labels = ConfirmLabels { of: self.of.clone(), outcome };
        self.confirms.get_or_create(&labels).inc_by(count as u64);
    }

    pub(crate) fn failed(&self, source: Source) {
        self.errors.get_or_create(&ErrorLabels { of: self.of.clone(), source }).inc();
    }
}

/// The metrics of several publishers in one process, distinguished by the label `outboxpublisher`. Clones share them.
#[derive(Clone, Debug)]
pub struct OutboxMetricsFamily {
    pending: Family<Of, Gauge>,
    dead: Family<Of, Gauge>,
    oldest_pending: Family<Of, Gauge>,
    published: Family<Of, Counter>,
    confirms: Family<ConfirmLabels, Counter>,
    window: Family<Of, Histogram>,
    delay: Family<Of, Histogram>,
    blocked: Family<Of, Counter<f64, AtomicU64>>,
    epoch: Family<Of, Gauge>,
    leader: Family<Of, Gauge>,
    queues_missing: Family<Of, Gauge>,
    retired: Family<Of, Counter>,
    errors: Family<ErrorLabels, Counter>,
}

impl Default for OutboxMetricsFamily {
    fn default() -> Self {
        Self {
            pending: Family::default(),
            dead: Family::default(),
            oldest_pending: Family::default(),
            published: Family::default(),
            confirms: Family::default(),
            window: Family::new_with_constructor(windows),
            delay: Family::new_with_constructor(delays),
            blocked: Family::default(),
            epoch: Family::default(),
            leader: Family::default(),
            queues_missing: Family::default(),
            retired: Family::default(),
            errors: Family::default(),
        }
    }
}

impl OutboxMetricsFamily {
    /// Adds the metrics to `registry`, with the same names as those of a single publisher.
    pub fn register(&self, registry: &mut Registry) {
        describe!(registry, self);
    }

    /// The metrics of the publisher `name`; the same ones every time.
    pub fn of(&self, name: &str) -> OutboxMetrics {
        let of = Of(Some(name.to_owned()));
        OutboxMetrics {
            pending: self.pending.get_or_create_owned(&of),
            dead: self.dead.get_or_create_owned(&of),
            oldest_pending: self.oldest_pending.get_or_create_owned(&of),
            published: self.published.get_or_create_owned(&of),
            confirms: self.confirms.clone(),
            window: self.window.get_or_create_owned(&of),
            delay: self.delay.get_or_create_owned(&of),
            blocked: self.blocked.get_or_create_owned(&of),
            epoch: self.epoch.get_or_create_owned(&of),
            leader: self.leader.get_or_create_owned(&of),
            queues_missing: self.queues_missing.get_or_create_owned(&of),
            retired: self.retired.get_or_create_owned(&of),
            errors: self.errors.clone(),
            of,
        }
    }

    /// Removes the publisher `name`: its numbers are no longer reported.
    pub fn remove(&self, name: &str) {
        let of = Of(Some(name.to_owned()));
        self.pending.remove(&of);
        self.dead.remove(&of);
        self.oldest_pending.remove(&of);
        self.published.remove(&of);
        self.window.remove(&of);
        self.delay.remove(&of);
        self.blocked.remove(&of);
        self.epoch.remove(&of);
        self.leader.remove(&of);
        self.queues_missing.remove(&of);
        self.retired.remove(&of);
        for outcome in Outcome::ALL {
            self.confirms.remove(&ConfirmLabels { of: of.clone(), outcome });
        }
        for source in [Source::Broker, Source::Database] {
            self.errors.remove(&ErrorLabels { of: of.clone(), source });
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn text(register: impl FnOnce(&mut Registry)) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        register(&mut registry);
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn publishers_of_one_process_are_told_apart_and_forgotten() {
        let family = OutboxMetricsFamily::default();
        let (orders, _payments) = (family.of("orders"), family.of("payments"));
        orders.published.inc();
        orders.confirmed(Outcome::Ack, 2);
        assert_eq!(family.of("orders").published(), 1);
        let both = text(|registry| family.register(registry));
        assert!(both.contains("outbox_published_total{outboxpublisher=\"orders\"} 1"), "{both}");
        assert!(both.contains("outbox_published_total{outboxpublisher=\"payments\"} 0"), "{both}");
        assert!(
            both.contains("outbox_confirms_total{outboxpublisher=\"orders\",outcome=\"Ack\"} 2"),
            "{both}"
        );
        family.remove("orders");
        assert!(!text(|registry| family.register(registry)).contains("orders"));
    }

    #[test]
    fn one_publisher_alone_has_no_label() {
        let metrics = OutboxMetrics::default();
        metrics.confirmed(Outcome::Nack, 1);
        let text = text(|registry| metrics.register(registry));
        assert!(text.contains("outbox_published_total 0"), "{text}");
        assert!(text.contains("outbox_confirms_total{outcome=\"Nack\"} 1"), "{text}");
    }
}
