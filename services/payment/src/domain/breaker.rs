use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// This many calls in a row without an answer open the breaker.
const FAILURES: u32 = 5;
/// How long it stays open. Then one call tries whether the provider is back.
const OPEN_FOR: TimeDelta = TimeDelta::seconds(5);
/// How long a call waits while another one tries.
const WHILE_TRYING: TimeDelta = TimeDelta::milliseconds(500);

/// Spares a provider that does not answer, and the shop the waiting. Clones share its state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// Set if it is open.
    until: Option<DateTime<Utc>>,
    trying: bool,
}

/// Whether calls pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    /// All calls pass.
    Closed,
    /// None pass, except one now and then that tries whether the provider is back.
    Open,
}

/// The right to make one call. Dropping it without a report gives it back: nothing is known about the provider then.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit {
    breaker: Breaker,
    is_trial: bool,
}

impl Breaker {
    /// The right to call now.
    ///
    /// # Errors
    /// When to ask again.
    pub(crate) fn permit(&self, now: DateTime<Utc>) -> Result<Permit, DateTime<Utc>> {
        let mut inner = self.lock();
        let is_trial = match inner.until {
            None => false,
            Some(until) if now < until => return Err(until),
            Some(_) if inner.trying => return Err(now + WHILE_TRYING),
            Some(_) => {
                inner.trying = true;
                true
            }
        };
        Ok(Permit { breaker: self.clone(), is_trial })
    }

    /// Whether calls pass.
    pub(crate) fn state(&self) -> BreakerState {
        if self.lock().until.is_some() { BreakerState::Open } else { BreakerState::Closed }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The provider has answered.
    pub(crate) fn answered(self) {
        let mut inner = self.breaker.lock();
        inner.failures = 0;
        inner.until = None;
    }

    /// The provider has not answered, or not as it should.
    pub(crate) fn failed(self, now: DateTime<Utc>) {
        let mut inner = self.breaker.lock();
        inner.failures = inner.failures.saturating_add(1);
        // A call that was under way when the breaker opened does not keep it open for longer.
        if self.is_trial || (inner.failures >= FAILURES && inner.until.is_none()) {
            inner.until = Some(now + OPEN_FOR);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.lock().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn open() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.permit(at(0)).unwrap().failed(at(0));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breaker.permit(at(0)).unwrap().failed(at(0));
            }
            breaker.permit(at(0)).unwrap().answered();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(open().permit(at(4)).unwrap_err(), at(5));
    }

    #[test]
    fn one_call_tries_whether_the_provider_is_back() {
        let breaker = open();
        let trial = breaker.permit(at(5)).unwrap();
        assert!(breaker.permit(at(5)).is_err(), "one at a time");
        trial.failed(at(6));
        assert_eq!(breaker.permit(at(10)).unwrap_err(), at(11));
        breaker.permit(at(11)).unwrap().answered();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.permit(at(11)).is_ok());
    }

    #[test]
    fn a_trial_that_never_reports_lets_the_next_one_try() {
        let breaker = open();
        drop(breaker.permit(at(5)).unwrap());
        assert!(breaker.permit(at(5)).is_ok());
    }
}
