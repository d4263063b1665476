//! Metrics about orders.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

/// Counters of orders. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Orders placed; a repeated response is not a new order.
    pub placed: Counter,
    /// Orders cancelled.
    pub cancelled: Counter,
    refused: Family<Refused, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

impl Metrics {
    /// Creates the counters and registers them with the service's.
    pub(crate) fn register(metrics: &shop_runtime::metrics::Metrics) -> Self {
        let this = Self::default();
        metrics.register(|registry| {
            registry.register("orders_placed", "Orders placed", this.placed.clone());
            registry.register("orders_cancelled", "Orders cancelled", this.cancelled.clone());
            registry.register("orders_refused", "Orders refused, by reason", this.refused.clone());
        });
        this
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }
}
