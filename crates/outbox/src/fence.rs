//! The right to publish: an epoch in the outbox's own database, and how long it may be relied on.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// How long a right may be relied on. Clones share one deadline: whoever grants it extends or ends it, and whoever uses it looks
/// at it before each step.
///
/// Time is [`boottime`]'s, so that a machine that slept finds its right over, whatever its wall clock says.
#[derive(Clone, Debug)]
pub struct Tenure(Arc<watch::Sender<Granted>>);

/// The last grant.
#[derive(Clone, Copy, Debug)]
struct Granted {
    asked: Duration,
    until: Duration,
}

impl Tenure {
    /// A right that was asked for at `asked` (see [`boottime`]) and granted for `term`. It counts from before the request was sent,
    /// so that the grantor's idea of the end is never the earlier one.
    pub fn new(asked: Duration, term: Duration) -> Self {
        Self(Arc::new(watch::Sender::new(Granted { asked, until: asked + term })))
    }

    /// Makes it last for `term` from `asked` on.
    pub fn extend(&self, asked: Duration, term: Duration) {
        self.0.send_replace(Granted { asked, until: asked + term });
    }

    /// Ends it now: another has, or may have, what it was a right to.
    pub fn end(&self) {
        self.0.send_modify(|granted| granted.until = Duration::ZERO);
    }

    /// How long it may still be relied on; zero when it may not.
    pub fn remaining(&self) -> Duration {
        self.0.borrow().until.saturating_sub(boottime())
    }

    /// Whether it may not be relied on any more.
    pub fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits until it was asked for after `moment`, and granted: for ever, if it is not.
    pub(crate) async fn confirmed_after(&self, moment: Duration) {
        let mut changes = self.0.subscribe();
        // The sender is our own.
        let _ = changes.wait_for(|granted| granted.asked > moment && !granted.until.is_zero()).await;
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
    /// Whether it is the same one, not whether the two end together.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// An epoch that this publisher holds. Clones share it.
///
/// The epoch guards every mark, in the same statement; the deadlines only spare useless work and bound how long a
/// publisher that has lost its lease can go on publishing.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) epoch: i64,
    /// What the database granted.
    own: Tenure,
    /// What somebody else granted, where the database is not the referee.
    given: Option<Tenure>,
}

impl Lease {
    /// A lease on `epoch` that ends with the first of the two.
    pub(crate) fn new(epoch: i64, own: Tenure, given: Option<Tenure>) -> Self {
        Self { epoch, own, given }
    }

    pub(crate) fn renewed(&self, asked: Duration, term: Duration) {
        self.own.extend(asked, term);
    }

    /// Ends it: another publisher has taken over.
    pub(crate) fn revoke(&self) {
        self.own.end();
    }

    pub(crate) fn remaining(&self) -> Duration {
        let given = self.given.as_ref().map_or(Duration::MAX, Tenure::remaining);
        self.own.remaining().min(given)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        let given = async {
            match &self.given {
                Some(given) => given.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.own.ended() => {}
            () = given => {}
        }
    }
}

/// Time since boot, suspension included.
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

    const TERM: Duration = Duration::from_secs(10);

    #[test]
    fn a_tenure_ends_by_itself_or_when_ended() {
        let tenure = Tenure::new(boottime(), TERM);
        assert!(!tenure.is_over() && tenure.remaining() <= TERM);
        tenure.clone().end();
        assert!(tenure.is_over());
        tenure.extend(boottime(), TERM);
        assert!(!tenure.is_over());
        assert!(Tenure::new(boottime().saturating_sub(TERM * 2), TERM).is_over());
    }

    #[test]
    fn a_lease_ends_with_the_first_of_its_two_tenures() {
        let given = Tenure::new(boottime(), TERM / 2);
        let lease = Lease::new(1, Tenure::new(boottime(), TERM), Some(given.clone()));
        assert!(!lease.is_over() && lease.remaining() <= TERM / 2);
        given.end();
        assert!(lease.is_over());
        let lease = Lease::new(1, Tenure::new(boottime(), TERM), None);
        lease.clone().revoke();
        assert!(lease.is_over());
    }

    #[tokio::test]
    async fn a_tenure_is_confirmed_by_what_was_asked_for_later() {
        let moment = boottime();
        let tenure = Tenure::new(moment, TERM);
        let confirmed = async || {
            tokio::time::timeout(Duration::from_millis(50), tenure.confirmed_after(moment)).await.is_ok()
        };
        assert!(!confirmed().await);
        tenure.extend(moment, TERM * 2);
        assert!(!confirmed().await, "asked for before, and answered late");
        tenure.extend(moment + Duration::from_millis(1), TERM);
        assert!(confirmed().await);
        tenure.end();
        assert!(!confirmed().await);
    }

    #[tokio::test]
    async fn who_waits_for_the_end_is_told_of_an_early_one() {
        let tenure = Tenure::new(boottime(), Duration::from_secs(3600));
        let waiting = tenure.clone();
        let told = tokio::time::timeout(Duration::from_secs(5), async {
            tokio::join!(waiting.ended(), async { tenure.end() });
        });
        told.await.unwrap();
    }
}
