use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// Pauses that double from 100 ms to 15 s. The jitter adds up to as much again, so that clients that failed together do not retry
/// together.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(LONGEST)
    .with_jitter()
    .without_max_times();
const LONGEST: Duration = Duration::from_secs(15);

/// After this many doublings every pause is the longest.
const DOUBLINGS: usize = 16;

/// How long to wait after the `failures`th failure in a row.
pub(crate) fn after(failures: u32) -> Duration {
    let before = usize::try_from(failures.saturating_sub(1)).unwrap_or(DOUBLINGS).min(DOUBLINGS);
    PAUSES.build().nth(before).unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_stays_bounded() {
        let first = Duration::from_millis(200);
        assert!(after(1) >= first / 2 && after(1) <= first);
        assert!(after(4) >= first * 4 && after(4) <= first * 8);
        assert!(after(u32::MAX) >= LONGEST && after(u32::MAX) <= LONGEST * 2);
    }
}
