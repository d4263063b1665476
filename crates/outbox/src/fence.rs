//! The right to publish: the lease in the outbox's own database with its epoch, and the tenure that somebody else has granted.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// A right that was granted, with an end. Clones share one deadline: its grantor extends or ends it, and
/// its user checks it before each step.
///
/// It uses the time of [`boottime`], so that a machine that was suspended finds its right expired, whatever its wall clock says.
#[derive(Clone, Debug)]
pub struct Tenure(Arc<watch::Sender<Span>>);

/// When the right was last requested, and when it ends.
#[derive(Clone, Copy, Debug)]
struct Span {
    asked: Duration,
    until: Duration,
}

impl Span {
    fn new(asked: Duration, lasting: Duration) -> Self {
        Self { asked, until: asked + lasting }
    }
}

impl Tenure {
    /// A right that was requested at `asked` (see [`boottime`]) and lasts for `lasting`. It counts from before the request was sent, so
    /// that the grantor never believes that it ends earlier.
    pub fn new(asked: Duration, lasting: Duration) -> Self {
        Self(Arc::new(watch::Sender::new(Span::new(asked, lasting))))
    }

    /// Extends it to `lasting` after `asked`.
    pub fn extend(&self, asked: Duration, lasting: Duration) {
        self.0.send_replace(Span::new(asked, lasting));
    }

    /// Ends it now: somebody else has the right, or may have it.
    pub fn end(&self) {
        self.0.send_modify(|span| span.until = Duration::ZERO);
    }

    /// The remaining time; zero when it has expired.
    pub fn remaining(&self) -> Duration {
        self.0.borrow().until.saturating_sub(boottime())
    }

    /// Whether it has expired.
    pub fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits until it has been extended by a request sent after `moment`: forever, if it never is.
    pub(crate) async fn confirmed_after(&self, moment: Duration) {
        let mut changes = self.0.subscribe();
        // We hold the sender ourselves.
        let _ = changes.wait_for(|span| span.asked > moment && !span.until.is_zero()).await;
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        let mut changes = self.0.subscribe();
        while !self.is_over() {
            tokio::select! {
                () = tokio::time::sleep(self.remaining()) => {}
                _ = changes.changed() => {}
            }
        }
    }
}

impl PartialEq for Tenure {
    /// Whether it is the same right, not whether both end at the same time.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The database's lease, held by this publisher. Clones share it.
///
/// The epoch guards every mark, in the same statement; the deadlines only avoid useless work, and limit how long a
/// publisher that has lost its lease can keep publishing.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) epoch: i64,
    /// How long the database's lease lasts.
    own: Tenure,
    /// How long the granted right lasts, if the database does not decide who publishes.
    tenure: Option<Tenure>,
}

/// Whether a write found this publisher's epoch still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fence {
    Holds,
    Lost,
}

impl Lease {
    /// A lease with `epoch` that ends with the earlier of the two.
    pub(crate) fn new(epoch: i64, own: Tenure, tenure: Option<Tenure>) -> Self {
        Self { epoch, own, tenure }
    }

    pub(crate) fn renewed(&self, asked: Duration, lasting: Duration) {
        self.own.extend(asked, lasting);
    }

    /// Ends it: another publisher has taken over.
    pub(crate) fn revoke(&self) {
        self.own.end();
    }

    /// The remaining time; zero when it has expired.
    pub(crate) fn remaining(&self) -> Duration {
        let tenure = self.tenure.as_ref().map_or(Duration::MAX, Tenure::remaining);
        self.own.remaining().min(tenure)
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        let tenure = async {
            match &self.tenure {
                Some(tenure) => tenure.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.own.ended() => {}
            () = tenure => {}
        }
    }
}

/// The time since boot, including suspension.
pub fn boottime() -> Duration {
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

    const LASTING: Duration = Duration::from_secs(10);

    #[test]
    fn a_tenure_ends_by_itself_or_when_ended() {
        let tenure = Tenure::new(boottime(), LASTING);
        assert!(!tenure.is_over() && tenure.remaining() <= LASTING);
        tenure.clone().end();
        assert!(tenure.is_over());
        tenure.extend(boottime(), LASTING);
        assert!(!tenure.is_over());
        assert!(Tenure::new(boottime().saturating_sub(LASTING * 2), LASTING).is_over());
    }

    #[test]
    fn a_lease_ends_with_the_first_of_its_two_tenures() {
        let tenure = Tenure::new(boottime(), LASTING / 2);
        let lease = Lease::new(1, Tenure::new(boottime(), LASTING), Some(tenure.clone()));
        assert!(!lease.remaining().is_zero() && lease.remaining() <= LASTING / 2);
        tenure.end();
        assert!(lease.remaining().is_zero());
        let lease = Lease::new(1, Tenure::new(boottime(), LASTING), None);
        lease.clone().revoke();
        assert!(lease.remaining().is_zero());
    }

    #[tokio::test]
    async fn a_tenure_is_confirmed_by_what_was_asked_for_later() {
        let moment = boottime();
        let tenure = Tenure::new(moment, LASTING);
        let confirmed = async || {
            tokio::time::timeout(Duration::from_millis(50), tenure.confirmed_after(moment)).await.is_ok()
        };
        assert!(!confirmed().await);
        tenure.extend(moment, LASTING * 2);
        assert!(!confirmed().await, "asked for before, and answered late");
        tenure.extend(moment + Duration::from_millis(1), LASTING);
        assert!(confirmed().await);
        tenure.end();
        assert!(!confirmed().await);
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_hears_of_an_early_one() {
        let tenure = Tenure::new(boottime(), Duration::from_secs(3600));
        let waiting = tenure.clone();
        let told = tokio::time::timeout(Duration::from_secs(5), async {
            tokio::join!(waiting.ended(), async { tenure.end() });
        });
        told.await.unwrap();
    }
}
