//! The right to publish: an epoch in the outbox's own database, and how long it may be relied on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An epoch that this publisher holds. Clones share it.
///
/// The epoch guards every mark, in the same statement; the deadline only spares useless work and bounds how long a
/// publisher that has lost its lease can go on publishing.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) epoch: i64,
    deadline: Arc<AtomicU64>,
}

impl Lease {
    /// A lease that was asked for at `asked` (see [`boottime`]) and granted for `term`.
    pub(crate) fn granted(epoch: i64, asked: Duration, term: Duration) -> Self {
        let lease = Self { epoch, deadline: Arc::default() };
        lease.renewed(asked, term);
        lease
    }

    /// Counts from before the request was sent, so that the database's idea of the end is never the earlier one.
    pub(crate) fn renewed(&self, asked: Duration, term: Duration) {
        self.deadline.store(nanos(asked + term), Ordering::Release);
    }

    /// Ends it: another publisher has taken over.
    pub(crate) fn revoke(&self) {
        self.deadline.store(0, Ordering::Release);
    }

    /// How long it may still be relied on; zero when it may not.
    pub(crate) fn remaining(&self) -> Duration {
        Duration::from_nanos(self.deadline.load(Ordering::Acquire).saturating_sub(nanos(boottime())))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        while !self.is_over() {
            tokio::time::sleep(self.remaining()).await;
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Time since boot, suspension included: a machine that slept has lost its lease, whatever its wall clock says.
pub(crate) fn boottime() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_itself_or_when_revoked() {
        let term = Duration::from_secs(10);
        let lease = Lease::granted(1, boottime(), term);
        assert!(!lease.is_over() && lease.remaining() <= term);
        lease.clone().revoke();
        assert!(lease.is_over());
        assert!(Lease::granted(1, boottime().saturating_sub(term * 2), term).is_over());
    }
}
