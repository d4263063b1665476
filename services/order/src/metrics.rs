//! Metrics about orders.

use std::sync::atomic::AtomicU64;

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use shop_core::{OrderStatus, events::CancellationCode};

use crate::domain::Order;

/// From a quick payment to the time-out of pending orders, in seconds.
const SETTLING: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0];

/// The version of an order that has left its first status.
const SETTLED: i64 = 2;

/// Counters of orders. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Orders placed; a repeated response is not a new order.
    pub placed: Counter,
    /// Streams of an order's life that are open, and responses that wait for one to be settled.
    pub watchers: Gauge,
    confirmed: Counter,
    cancelled: Family<Cancelled, Counter>,
    settling: Histogram,
    oldest_pending: Gauge<f64, AtomicU64>,
    ignored: Family<Ignored, Counter>,
    refused: Family<Refused, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cancelled {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ignored {
    event_type: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

impl Metrics {
    /// Creates the counters and registers them with the service's.
    pub(crate) fn register(metrics: &shop_runtime::metrics::Metrics) -> Self {
        let this = Self {
            placed: Counter::default(),
            watchers: Gauge::default(),
            confirmed: Counter::default(),
            cancelled: Family::default(),
            settling: Histogram::new(SETTLING),
            oldest_pending: Gauge::default(),
            ignored: Family::default(),
            refused: Family::default(),
        };
        metrics.register(|registry| {
            registry.register("orders_placed", "Orders placed", this.placed.clone());
            registry.register(
                "orders_confirmed",
                "Orders whose stock was reserved and paid for",
                this.confirmed.clone(),
            );
            registry.register("orders_cancelled", "Orders cancelled, by reason", this.cancelled.clone());
            registry.register(
                "orders_settle_seconds",
                "Time from an order's placement until it was confirmed or cancelled",
                this.settling.clone(),
            );
            registry.register(
                "orders_pending_oldest_age_seconds",
                "Age of the oldest pending order, 0 if there is none",
                this.oldest_pending.clone(),
            );
            registry.register(
                "orders_ignored_events",
                "Events of other services that changed nothing: known (a repetition), impossible (too late for the order's \
                 status), unknown_order",
                this.ignored.clone(),
            );
            registry.register(
                "orders_watchers",
                "Open streams of orders' events, and responses that wait for a settled order",
                this.watchers.clone(),
            );
            registry.register("orders_refused", "Orders refused, by reason", this.refused.clone());
        });
        this
    }

    /// Counts an order's new status, which it has had since `now`.
    pub(crate) fn moved(&self, order: &Order, now: DateTime<Utc>) {
        match order.status {
            OrderStatus::Confirmed => drop(self.confirmed.inc()),
            OrderStatus::Cancelled => {
                let code = order.cancellation.as_ref().map_or(CancellationCode::Unspecified, |why| why.code);
                self.cancelled.get_or_create(&Cancelled { code: code.as_str() }).inc();
            }
            OrderStatus::Pending | OrderStatus::Shipped | OrderStatus::Delivered => {}
        }
        if order.version == SETTLED {
            self.settling.observe(seconds(now - order.created_at));
        }
    }

    /// Sets the age of the oldest pending order.
    pub(crate) fn oldest_pending(&self, age: TimeDelta) {
        self.oldest_pending.set(seconds(age));
    }

    /// Counts an event that changed nothing.
    pub(crate) fn ignored(&self, event_type: &'static str, reason: &'static str) {
        self.ignored.get_or_create(&Ignored { event_type, reason }).inc();
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }
}

/// Negative if the clocks of two replicas differ; then it is 0.
fn seconds(age: TimeDelta) -> f64 {
    age.as_seconds_f64().max(0.0)
}
