//! What a publisher measures: for Prometheus, or without the feature `metrics` for nobody.

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
