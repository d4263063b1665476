//! Pauses that grow with each failure in a row.

use std::time::Duration;

/// `first` doubled with each failure after the first, `longest` at most.
pub(crate) fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(longest)
}

/// A random share of `pause`, between half of it and all: what failed together is not tried together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_failures_overflows() {
        let longest = Duration::from_secs(300);
        assert_eq!(backoff(Duration::from_secs(1), longest, u32::MAX), longest);
    }
}
