//! Other publishers of the same outbox that interfere with this one, though this one is elected.

use std::time::Duration;

use shop_messaging::PublishError;
use tokio::time::Instant;

use super::obstacle::Obstacle;
use crate::retry;

/// How long a takeover by another publisher is reported, even after this one has taken the lease back.
const RIVALRY: Duration = Duration::from_secs(10);
/// The shortest time for which the outbox is left to another publisher.
const SHORTEST: Duration = Duration::from_secs(1);

/// How often another publisher has taken over from this one, and how long the broker has shut this one out.
#[derive(Debug, Default)]
pub(super) struct Rivalry {
    times: u32,
    last: Option<Instant>,
    shut_out: Option<Instant>,
}

impl Rivalry {
    /// Another publisher has taken over. Returns how long to leave the outbox to it, longer each time: two publishers that both
    /// believe to be elected should not take it from each other as fast as they can.
    pub(super) fn again(&mut self) -> Duration {
        self.times = if self.is_younger_than(6 * RIVALRY) { self.times + 1 } else { 1 };
        self.last = Some(Instant::now());
        retry::pause(SHORTEST, 2 * RIVALRY, self.times, rand::random())
    }

    /// Something failed: the broker's fence is held, or something else is wrong.
    pub(super) fn note(&mut self, obstacle: &Obstacle) {
        match obstacle {
            Obstacle::Broker(PublishError::Fenced(_)) => {
                self.shut_out.get_or_insert_with(Instant::now);
            }
            Obstacle::Broker(_) => self.shut_out = None,
            // This says nothing about the broker.
            Obstacle::Database(_) => {}
        }
    }

    /// The broker has admitted this publisher.
    pub(super) fn let_in(&mut self) {
        self.shut_out = None;
    }

    /// Whether the holder of the broker's fence must be alive, for a lease of duration `lease`. The broker does not notice a lost connection
    /// at once; a holder that keeps the fence for longer than that is alive.
    pub(super) fn is_shut_out_by_somebody(&self, lease: Duration) -> bool {
        self.shut_out.is_some_and(|since| since.elapsed() >= 2 * lease + RIVALRY / 2)
    }

    /// Whether another publisher has taken over recently.
    pub(super) fn is_recent(&self) -> bool {
        self.is_younger_than(RIVALRY)
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        self.last.is_some_and(|last| last.elapsed() < age)
    }
}
