use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::{NoContext, Timestamp, Uuid};

/// The source of time: the system's clock, or one that a test moves by hand.
///
/// Cloning is cheap, and clones of a manual clock move together.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Mutex<DateTime<Utc>>>>);

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stays at `time` until [`Clock::advance`] moves it.
    pub fn manual(time: DateTime<Utc>) -> Self {
        Self(Some(Arc::new(Mutex::new(time))))
    }

    /// Returns the time, truncated to microseconds, which is what PostgreSQL's `timestamptz` stores.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match &self.0 {
            None => Utc::now(),
            Some(manual) => *manual.lock().unwrap_or_else(PoisonError::into_inner),
        };
        now.trunc_subsecs(6)
    }

    /// Moves a manual clock forward. Does nothing to a system clock.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(manual) = &self.0 {
            *manual.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// Returns a new UUIDv7 (RFC 9562, section 5.7) with this clock's time. It sorts by age, and 74 bits are random.
    pub fn new_id(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let before = clock.now();
        clock.clone().advance(TimeDelta::seconds(5));
        assert_eq!((clock.now() - before).num_seconds(), 5);
    }

    #[test]
    fn ids_carry_the_clocks_time() {
        let clock = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let id = clock.new_id();
        assert_eq!(id.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
        assert_ne!(id, clock.new_id());
    }
}
