use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait after the `failures`th failure in a row: doubling from 200 ms to 30 s, less a random half, so that
/// many who failed together do not come back together.
pub(crate) fn after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST * (1 << doublings)).min(LONGEST).mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_stays_bounded() {
        assert!(after(1) <= FIRST);
        assert!(after(4) >= FIRST * 4);
        assert!(after(u32::MAX) <= LONGEST && after(u32::MAX) >= LONGEST / 2);
    }
}
