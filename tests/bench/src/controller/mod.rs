//! The controller: real processes and a real Kubernetes API, while orders flow. `cargo xtask bench handover` and
//! `cargo xtask soak controller`

mod check;
mod fault;
mod flow;
pub(crate) mod handover;
mod idle;
mod place;
pub(crate) mod soak;

use std::time::{Duration, Instant};

/// Waits until `state` is true.
pub(crate) async fn until(
    what: &str,
    patience: Duration,
    mut state: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    while !state().await {
        anyhow::ensure!(Instant::now() < deadline, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The longest time between two consecutive `arrivals` that overlaps the time from `began` to `ended`.
fn longest_gap(arrivals: &[Instant], began: Instant, ended: Instant) -> Duration {
    let gaps = arrivals.windows(2).filter(|gap| gap[1] > began && gap[0] < ended);
    gaps.map(|gap| gap[1].saturating_duration_since(gap[0])).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_where_it_reaches_into_the_time_in_question() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let arrivals = [at(0), at(10), at(12), at(15), at(16), at(30)];
        let gap = |began, ended| longest_gap(&arrivals, at(began), at(ended)).as_secs();
        assert_eq!(gap(11, 13), 3);
        assert_eq!(gap(5, 13), 10);
        assert_eq!(gap(15, 40), 14);
        assert_eq!(gap(31, 40), 0);
    }
}
