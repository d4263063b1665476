//! A consumer's metrics: for Prometheus, or discarded without the feature `metrics`.

mod outcome;
#[cfg(feature = "metrics")]
mod prometheus;
#[cfg(not(feature = "metrics"))]
mod silent;

pub(super) use self::outcome::{Outcome, UNKNOWN};
#[cfg(feature = "metrics")]
pub use self::prometheus::ConsumerMetrics;
#[cfg(not(feature = "metrics"))]
pub use self::silent::ConsumerMetrics;
