use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use shop_core::Email;

/// So many wrong passwords in a row are nobody's business …
const BURST: i64 = 10;

/// … and after them, one more is allowed in this time, in milliseconds.
const INTERVAL: i64 = 30_000;

/// Addresses share this many slots: 128 KiB, however many addresses are tried.
const SLOTS: usize = 16_384;

/// Slows down guessing at one account: wrong passwords are counted by e-mail address, whether it is registered or not.
///
/// Each slot is a leaky bucket (GCRA): the time, in milliseconds since 1970, at which all its failures are forgiven.
/// Two addresses in one slot share their failures; which ones do so is secret, random, and different after a restart.
/// Replicas count for themselves, so an attacker gets as many tries as there are replicas, times [`BURST`].
pub(crate) struct Attempts {
    slots: Box<[AtomicI64]>,
    keyed: RandomState,
}

/// Too many wrong passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttled {
    /// Whole seconds, rounded up: a try after them is admitted.
    pub(crate) retry_after: Duration,
}

/// One try, counted as a failure from its start so that many at once cannot slip through.
/// Dropped without a verdict (the database was away, the caller went), it counts for nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt<'a> {
    slot: &'a AtomicI64,
    failed: bool,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicI64::new(0)).collect(), keyed: RandomState::new() }
    }

    /// Begins a try at `email`'s password.
    pub(crate) fn begin(&self, email: &Email, now: DateTime<Utc>) -> Result<Attempt<'_>, Throttled> {
        let slot = &self.slots[self.keyed.hash_one(email) as usize % SLOTS];
        let now = now.timestamp_millis();
        let charged = |forgiven_at: i64| {
            let forgiven_at = forgiven_at.max(now) + INTERVAL;
            (forgiven_at <= now + BURST * INTERVAL).then_some(forgiven_at)
        };
        match slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged) {
            Ok(_) => Ok(Attempt { slot, failed: false }),
            Err(forgiven_at) => {
                let wait = forgiven_at + INTERVAL - now - BURST * INTERVAL;
                Err(Throttled { retry_after: Duration::from_secs(wait.unsigned_abs().div_ceil(1000)) })
            }
        }
    }
}

impl Attempt<'_> {
    /// The password was right: earlier failures are forgiven.
    pub(crate) fn succeeded(self) {
        self.slot.store(0, Ordering::Relaxed);
    }

    /// The password was wrong.
    pub(crate) fn failed(mut self) {
        self.failed = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.failed {
            self.slot.fetch_sub(INTERVAL, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    #[test]
    fn after_ten_failures_one_more_is_allowed_every_half_minute() {
        let (attempts, user) = (Attempts::new(), email("user@example.com"));
        for _ in 0..BURST {
            attempts.begin(&user, start()).unwrap().failed();
        }
        let throttled = attempts.begin(&user, start()).unwrap_err();
        assert_eq!(throttled.retry_after, Duration::from_secs(30));
        let soon = attempts.begin(&user, start() + TimeDelta::milliseconds(29_500)).unwrap_err();
        assert_eq!(soon.retry_after, Duration::from_secs(1));
        let later = start() + TimeDelta::seconds(30);
        attempts.begin(&user, later).unwrap().failed();
        assert!(attempts.begin(&user, later).is_err());
        for _ in 0..BURST {
            attempts.begin(&user, later + TimeDelta::minutes(5)).unwrap().failed();
        }
    }

    #[test]
    fn tries_at_the_same_moment_are_counted_before_they_are_judged() {
        let (attempts, user) = (Attempts::new(), email("user@example.com"));
        let held: Vec<_> = (0..BURST).map(|_| attempts.begin(&user, start()).unwrap()).collect();
        assert!(attempts.begin(&user, start()).is_err());
        drop(held);
        assert!(attempts.begin(&user, start()).is_ok(), "without a verdict they count for nothing");
    }

    #[test]
    fn success_forgives_and_others_are_not_held_up() {
        let (attempts, user) = (Attempts::new(), email("user@example.com"));
        for _ in 1..BURST {
            attempts.begin(&user, start()).unwrap().failed();
        }
        attempts.begin(&user, start()).unwrap().succeeded();
        for _ in 0..BURST {
            attempts.begin(&user, start()).unwrap().failed();
        }
        assert!(attempts.begin(&user, start()).is_err());
        let mut others = (0..10).map(|n| email(&format!("other{n}@example.com")));
        assert!(others.any(|other| attempts.begin(&other, start()).is_ok()));
    }
}
