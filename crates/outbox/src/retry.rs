//! Pauses between attempts, which grow with each consecutive failure.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// After this many doublings every pause is the longest.
const DOUBLINGS: usize = 64;

/// How long to wait after `failures` consecutive failures: `first`, doubled with each further failure, at most `longest`. `seed`
/// chooses a share between half and all of it, so that things that failed together are not retried together.
pub(crate) fn pause(first: Duration, longest: Duration, failures: u32, seed: u64) -> Duration {
    // Half of each, because the jitter adds up to as much again.
    let pauses = ExponentialBuilder::new()
        .with_min_delay(first.min(longest) / 2)
        .with_max_delay(longest / 2)
        .with_jitter()
        .with_jitter_seed(seed)
        .without_max_times();
    let before = usize::try_from(failures.saturating_sub(1)).unwrap_or(DOUBLINGS).min(DOUBLINGS);
    pauses.build().nth(before).unwrap_or(longest)
}

/// A random share of `pause`, between half of it and all.
pub(crate) fn jittered(pause: Duration) -> Duration {
    self::pause(pause, pause, 1, rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(300);

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, whole) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let whole = Duration::from_secs(whole);
            for seed in 0..100 {
                let pause = pause(FIRST, LONGEST, failures, seed);
                assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
            }
        }
        assert!(pause(LONGEST, FIRST, 1, 0) <= FIRST);
    }

    #[test]
    fn what_failed_together_is_not_tried_together() {
        let pauses: std::collections::HashSet<_> =
            (0..100).map(|seed| pause(FIRST, LONGEST, 5, seed)).collect();
        assert!(pauses.len() > 90, "{}", pauses.len());
    }
}
