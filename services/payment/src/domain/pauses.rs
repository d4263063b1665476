use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chrono::TimeDelta;

/// Grows from half a second to half a minute; to each, up to as much again is added at random.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(30))
    .with_factor(2.0)
    .without_max_times();

/// From here on the pause no longer grows.
const LONGEST_AFTER: usize = 7;

/// The pause after the call number `attempts`, counted from 1. `seed` chooses the random part.
pub(crate) fn pause(attempts: u32, seed: u64) -> TimeDelta {
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(LONGEST_AFTER).min(LONGEST_AFTER);
    let pause = PAUSES.with_jitter().with_jitter_seed(seed).build().nth(step).unwrap_or_default();
    TimeDelta::from_std(pause).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_end_and_differ() {
        let least = |attempts| (0..50).map(|seed| pause(attempts, seed)).min().unwrap();
        let most = |attempts| (0..50).map(|seed| pause(attempts, seed)).max().unwrap();
        assert!(least(1) >= TimeDelta::milliseconds(500) && most(1) <= TimeDelta::seconds(1));
        assert!(least(1) < most(1), "replicas do not call at the same moment");
        assert!(least(4) >= TimeDelta::seconds(4));
        for attempts in [8, 1000, u32::MAX] {
            assert!(least(attempts) >= TimeDelta::seconds(30), "{attempts}");
            assert!(most(attempts) <= TimeDelta::seconds(61), "{attempts}");
        }
    }
}
