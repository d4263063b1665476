//! What a leader does besides publishing.

use std::{convert::Infallible, time::Duration};

use tokio::time::Instant;

use crate::{
    OutboxMetrics, Stats, Store,
    fence::Lease,
    retry::{self, jittered},
    store::Fence,
};

/// How often pending rows are counted, at most and at least.
const COUNT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));
/// How many sent rows one statement deletes.
const RETIRE_CHUNK: u32 = 1_000;
/// The shortest and the longest pause after deleting sent rows has failed.
const RETIRE_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Renews the lease three times per duration. A failure is only logged: the lease then expires.
pub(super) async fn renew(store: &Store, lease: &Lease, lasting: Duration) -> Infallible {
    loop {
        tokio::time::sleep(lasting / 3).await;
        match tokio::time::timeout(lasting / 3, store.renew(lease, lasting)).await {
            Ok(Ok(Fence::Holds)) => {}
            Ok(Ok(Fence::Lost)) => {
                lease.revoke();
                return std::future::pending().await;
            }
            Ok(Err(error)) => tracing::warn!(error = %error, "the lease was not renewed"),
            Err(_) => tracing::warn!("the lease was not renewed: the database does not answer"),
        }
    }
}

/// Deletes sent rows after their retention, in chunks, with a pause in between that leaves room for other work. Each chunk
/// begins where the previous one ended, because deleted rows may stay in the index for a long time.
pub(super) async fn retire(
    store: &Store,
    retention: Option<Duration>,
    metrics: &OutboxMetrics,
) -> Infallible {
    let Some(retention) = retention else { return std::future::pending().await };
    let (mut failures, mut from) = (0, 0);
    loop {
        let pause = match store.retire(retention, from, RETIRE_CHUNK).await {
            Ok((removed, last)) => {
                failures = 0;
                metrics.retired.inc_by(removed);
                let more = removed == u64::from(RETIRE_CHUNK);
                from = last.filter(|_| more).unwrap_or_default();
                jittered(if more { Duration::from_millis(100) } else { Duration::from_secs(60) })
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(error = %error, "sent rows were not removed");
                let (first, longest) = RETIRE_AGAIN;
                retry::pause(first, longest, failures, rand::random())
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Updates the gauges. Counting a backlog takes long, so it gets a fiftieth of the time if possible; but the numbers
/// must never be outdated.
pub(super) async fn count(
    store: &Store,
    metrics: &OutboxMetrics,
    counted: &(dyn Fn(Stats) + Sync),
) -> Infallible {
    loop {
        let asked = Instant::now();
        if let Ok(stats) = store.stats().await {
            metrics.pending.set(stats.pending);
            metrics.dead.set(stats.dead);
            metrics.oldest_pending.set(stats.oldest_pending_seconds as i64);
            counted(stats);
        }
        tokio::time::sleep(until_counted_again(asked.elapsed())).await;
    }
}

/// How long to wait between two counts of an outbox if one took as long as `took`.
pub fn until_counted_again(took: Duration) -> Duration {
    let (soonest, latest) = COUNT;
    (took * 50).clamp(soonest, latest)
}
