//! What a consumer measures: for Prometheus, or without the feature `metrics` for nobody.

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
