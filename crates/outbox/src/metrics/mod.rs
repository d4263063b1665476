//! A publisher's metrics: for Prometheus, or discarded without the feature `metrics`.

mod labels;
#[cfg(feature = "metrics")]
mod prometheus;
#[cfg(not(feature = "metrics"))]
mod silent;

pub(crate) use self::labels::{Outcome, Source};
#[cfg(feature = "metrics")]
pub use self::prometheus::{OutboxMetrics, OutboxMetricsFamily};
#[cfg(not(feature = "metrics"))]
pub use self::silent::OutboxMetrics;
