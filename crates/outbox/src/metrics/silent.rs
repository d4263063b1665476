//! The same types without Prometheus: only what [`OutboxMetrics::published`] returns is counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::labels::{Outcome, Source};

/// A publisher's metrics. Without the feature `metrics` most of them are discarded. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct OutboxMetrics {
    pub(crate) pending: Nothing,
    pub(crate) dead: Nothing,
    pub(crate) oldest_pending: Nothing,
    pub(crate) published: Count,
    pub(crate) window: Nothing,
    pub(crate) delay: Nothing,
    pub(crate) blocked: Nothing,
    pub(crate) epoch: Nothing,
    pub(crate) leader: Nothing,
    pub(crate) queues_missing: Nothing,
    pub(crate) retired: Nothing,
}

impl OutboxMetrics {
    /// The number of rows published and marked since these metrics were created.
    pub fn published(&self) -> u64 {
        self.published.0.load(Ordering::Relaxed)
    }

    pub(crate) fn confirmed(&self, _: Outcome, _: usize) {}

    pub(crate) fn failed(&self, _: Source) {}
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicU64>);

impl Count {
    pub(crate) fn inc_by(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// Stands in for a gauge, a counter or a histogram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Nothing;

impl Nothing {
    pub(crate) fn set(self, _: i64) {}

    pub(crate) fn inc_by<N>(self, _: N) {}

    pub(crate) fn observe(self, _: f64) {}
}
