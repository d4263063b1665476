//! When a row that the broker refused is tried again, and when it is given up.

use std::time::Duration;

/// Exponential back-off with a bound on the number of tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a row is tried before it is dead. At least 1.
    pub max_attempts: u32,
    /// The pause after the first failure; it doubles with each.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    /// Ten tries over about a quarter of an hour.
    fn default() -> Self {
        Self { max_attempts: 10, first: Duration::from_secs(1), longest: Duration::from_secs(300) }
    }
}

impl RetryPolicy {
    /// The pause after `failures` failures in a row; `None`: give it up.
    pub(crate) fn pause_after(&self, failures: u32) -> Option<Duration> {
        (failures < self.max_attempts).then(|| backoff(self.first, self.longest, failures))
    }
}

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
    fn pauses_double_up_to_the_longest_and_then_end() {
        let policy =
            RetryPolicy { max_attempts: 5, first: Duration::from_secs(1), longest: Duration::from_secs(3) };
        let pauses: Vec<_> =
            (1..=5).map(|failures| policy.pause_after(failures).map(|p| p.as_secs())).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(3), Some(3), None]);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let longest = Duration::from_secs(300);
        assert_eq!(backoff(Duration::from_secs(1), longest, u32::MAX), longest);
    }
}
