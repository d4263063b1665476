//! How long each part of an election lasts, and which combinations can work.

use std::time::Duration;

use shop_outbox::{Bounds, Options};

/// The longest lease that is respected. A record may claim more, by mistake or malice; followers wait no longer than this.
pub(super) const LONGEST: Duration = Options::LEASE.max;

/// How long a leader that cannot renew its Lease keeps publishing. A Lease lasts longer, so the highest value is below the longest Lease.
pub(crate) const RENEW_DEADLINE: Bounds<Duration> =
    Bounds { min: Duration::from_secs(2), max: Duration::from_secs(299), default: Duration::from_secs(10) };

/// How often a leader renews its Lease.
pub(crate) const RETRY_PERIOD: Bounds<Duration> =
    Bounds { min: Duration::from_secs(1), max: Duration::from_secs(100), default: Duration::from_secs(2) };

/// How much longer than the retry period a follower may wait between two reads, so that followers do not all read at the same time.
pub(super) const JITTER: f64 = 1.2;

/// The timing of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How long followers wait, by their own clocks, for the leader's next sign of life.
    pub(super) lease: Duration,
    /// How long after its last successful renewal the leader gives up. How much the clocks' rates may differ is the
    /// ratio of `lease` to this.
    pub(super) renew_deadline: Duration,
    /// The pause between tries, of acquiring as of renewing.
    pub(super) retry_period: Duration,
}

/// Why a timing cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTiming {
    #[error("the lease must last whole seconds, {LONGEST:?} at most")]
    Lease,
    #[error(
        "the lease must be longer than the renew deadline: followers wait until a leader surely has given up"
    )]
    RenewDeadline,
    #[error("the renew deadline must be longer than {JITTER} retry periods: a leader needs a second try")]
    RetryPeriod,
    #[error("the retry period must not be zero")]
    NoRest,
}

impl Settings {
    /// Client-go's rules: `lease` > `renew_deadline` > 1.2 × `retry_period` > 0.
    pub(crate) fn new(
        lease: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, InvalidTiming> {
        if lease.subsec_nanos() != 0 || lease > LONGEST {
            return Err(InvalidTiming::Lease);
        }
        if retry_period.is_zero() {
            return Err(InvalidTiming::NoRest);
        }
        if renew_deadline <= retry_period.mul_f64(JITTER) {
            return Err(InvalidTiming::RetryPeriod);
        }
        if lease <= renew_deadline {
            return Err(InvalidTiming::RenewDeadline);
        }
        Ok(Self { lease, renew_deadline, retry_period })
    }

    /// How long followers wait for the leader's next sign of life.
    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    /// What the record says of `lease`.
    pub(super) fn seconds(&self) -> i32 {
        i32::try_from(self.lease.as_secs()).unwrap_or(i32::MAX)
    }

    /// How long a record that claims `seconds` is respected after its last change: at least our own lease, because a
    /// claim of less (or of nothing) may come from a writer that knows nothing of its leader's renew deadline.
    pub(super) fn patience(&self, seconds: Option<i32>) -> Duration {
        let claimed = u64::try_from(seconds.unwrap_or_default()).unwrap_or_default();
        Duration::from_secs(claimed).clamp(self.lease, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn timing_that_cannot_work_is_refused() {
        let new = |lease, renew, retry| Settings::new(lease, renew, retry).err();
        assert_eq!(new(seconds(15), seconds(10), seconds(2)), None);
        assert_eq!(new(Duration::from_millis(1500), seconds(1), seconds(1)), Some(InvalidTiming::Lease));
        assert_eq!(new(seconds(301), seconds(10), seconds(2)), Some(InvalidTiming::Lease));
        assert_eq!(new(seconds(10), seconds(10), seconds(2)), Some(InvalidTiming::RenewDeadline));
        assert_eq!(new(seconds(15), seconds(12), seconds(10)), Some(InvalidTiming::RetryPeriod));
        assert_eq!(new(seconds(15), seconds(10), Duration::ZERO), Some(InvalidTiming::NoRest));
        assert_eq!(new(Duration::ZERO, Duration::ZERO, Duration::ZERO), Some(InvalidTiming::NoRest));
    }

    #[test]
    fn an_absurd_duration_in_a_record_is_bounded() {
        let settings = Settings::new(seconds(15), seconds(10), seconds(2)).unwrap();
        for claim in [None, Some(0), Some(-1), Some(i32::MIN), Some(1), Some(15)] {
            assert_eq!(settings.patience(claim), seconds(15), "{claim:?}");
        }
        assert_eq!(settings.patience(Some(60)), seconds(60), "a leader of another configuration");
        assert_eq!(settings.patience(Some(i32::MAX)), LONGEST);
    }
}
