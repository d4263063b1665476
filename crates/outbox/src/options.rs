//! A publisher's options and their limits. Everything else that states a limit (the command line, the Kubernetes object,
//! the chart) takes it from here.

use std::time::Duration;

use crate::retry;

/// The limits of an option, both inclusive, and its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<T> {
    /// The lowest value.
    pub min: T,
    /// The highest value.
    pub max: T,
    /// The default.
    pub default: T,
}

impl<T: PartialOrd> Bounds<T> {
    /// Whether `value` is within the limits.
    pub fn contains(&self, value: &T) -> bool {
        (&self.min..=&self.max).contains(&value)
    }
}

/// A publisher's options. The defaults suit a shop; each field says what it trades off.
///
/// The constants are the limits that programs should enforce; a publisher itself does not check them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The publisher's name in the lease: unique to the process.
    pub holder: String,
    /// AMQP `app_id` of every message.
    pub app_id: String,
    /// The batch: how many messages may be unconfirmed or unmarked at once, and so the most that a crash can duplicate. Half of
    /// it is a window, which is published and confirmed together. More only adds latency: 100 to 500 saturate a broker.
    pub batch_size: usize,
    /// The maximum size of the payloads in memory, in bytes, beyond the first message.
    pub max_bytes: usize,
    /// How often an idle publisher polls; usually a commit's notification wakes it.
    pub poll_interval: Duration,
    /// How long the broker may take to confirm a window.
    pub publish_deadline: Duration,
    /// How long the lease lasts without renewal, and so the longest gap after a crash.
    pub lease: Duration,
    /// What happens to a row that the broker refuses.
    pub retry: RetryPolicy,
    /// How long sent rows are kept; `None`: forever.
    pub retention: Option<Duration>,
}

const HOUR: u64 = 3600;

impl Options {
    /// [`Options::batch_size`], in messages: at least two, because a batch is two windows.
    pub const BATCH_SIZE: Bounds<usize> = Bounds { min: 2, max: 2000, default: 400 };
    /// [`Options::poll_interval`]
    pub const POLL_INTERVAL: Bounds<Duration> = Bounds {
        min: Duration::from_millis(5),
        max: Duration::from_secs(60),
        default: Duration::from_millis(100),
    };
    /// [`Options::publish_deadline`]
    pub const PUBLISH_DEADLINE: Bounds<Duration> = Bounds {
        min: Duration::from_secs(1),
        max: Duration::from_secs(60),
        default: Duration::from_secs(10),
    };
    /// [`Options::lease`]
    pub const LEASE: Bounds<Duration> = Bounds {
        min: Duration::from_secs(3),
        max: Duration::from_secs(300),
        default: Duration::from_secs(15),
    };
    /// [`Options::retention`], where zero means forever.
    pub const RETENTION: Bounds<Duration> = Bounds {
        min: Duration::ZERO,
        max: Duration::from_secs(10 * 365 * 24 * HOUR),
        default: Duration::from_secs(7 * 24 * HOUR),
    };
    /// [`RetryPolicy::max_attempts`]
    pub const MAX_ATTEMPTS: Bounds<u32> = Bounds { min: 1, max: 100, default: 10 };
    /// [`RetryPolicy::first`]
    pub const FIRST_PAUSE: Bounds<Duration> = Bounds {
        min: Duration::from_millis(10),
        max: Duration::from_secs(24 * HOUR),
        default: Duration::from_secs(1),
    };
    /// [`RetryPolicy::longest`]
    pub const LONGEST_PAUSE: Bounds<Duration> = Bounds {
        min: Duration::from_millis(10),
        max: Duration::from_secs(24 * HOUR),
        default: Duration::from_secs(300),
    };

    /// The defaults, for a publisher called `holder` that publishes as `app_id`.
    pub fn new(holder: impl Into<String>, app_id: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
            app_id: app_id.into(),
            batch_size: Self::BATCH_SIZE.default,
            max_bytes: 4 * 1024 * 1024,
            poll_interval: Self::POLL_INTERVAL.default,
            publish_deadline: Self::PUBLISH_DEADLINE.default,
            lease: Self::LEASE.default,
            retry: RetryPolicy::default(),
            retention: Some(Self::RETENTION.default),
        }
    }
}

/// When a row that the broker refused is retried, and when it is given up: exponential back-off with a limited number of
/// attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a row is tried before it is dead. At least 1.
    pub max_attempts: u32,
    /// The pause after the first failure; it doubles with each further failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts over about a quarter of an hour.
    fn default() -> Self {
        Self {
            max_attempts: Options::MAX_ATTEMPTS.default,
            first: Options::FIRST_PAUSE.default,
            longest: Options::LONGEST_PAUSE.default,
        }
    }
}

impl RetryPolicy {
    /// How long to wait after `failures` consecutive failures, with a share chosen by `seed`; `None`: give the row up.
    pub(crate) fn pause_after(&self, failures: u32, seed: u64) -> Option<Duration> {
        (failures < self.max_attempts).then(|| retry::pause(self.first, self.longest, failures, seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_limits() {
        fn holds<T: PartialOrd>(bounds: &Bounds<T>) -> bool {
            bounds.contains(&bounds.default) && bounds.contains(&bounds.min) && bounds.contains(&bounds.max)
        }
        assert!(holds(&Options::BATCH_SIZE) && holds(&Options::MAX_ATTEMPTS));
        for bounds in [
            Options::POLL_INTERVAL,
            Options::PUBLISH_DEADLINE,
            Options::LEASE,
            Options::RETENTION,
            Options::FIRST_PAUSE,
            Options::LONGEST_PAUSE,
        ] {
            assert!(holds(&bounds), "{bounds:?}");
            assert!(!bounds.contains(&(bounds.max + Duration::from_nanos(1))), "{bounds:?}");
        }
    }

    #[test]
    fn a_row_is_given_up_after_the_last_attempt() {
        let policy =
            RetryPolicy { max_attempts: 5, first: Duration::from_secs(1), longest: Duration::from_secs(3) };
        for (failures, longest) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
            let pause = policy.pause_after(failures, 7).unwrap().as_secs_f64();
            assert!((f64::from(longest) / 2.0..=f64::from(longest)).contains(&pause), "{pause}");
        }
        assert_eq!(policy.pause_after(5, 7), None);
    }
}
