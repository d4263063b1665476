//! Lanes, one for each aggregate: its messages are handled one after another, in order of arrival, in parallel with those of
//! other aggregates.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// The lanes of one consumer. A lane exists while a message is in it.
#[derive(Default)]
pub(crate) struct Lanes(Arc<Mutex<HashMap<String, Lane>>>);

struct Lane {
    /// Notified when the last message has left.
    last: oneshot::Receiver<()>,
    /// How many messages are in it.
    length: usize,
}

/// A message's place in its lane. If it is dropped without [`Place::leave`], the message was not handled: it returns to the queue, and
/// so do all messages behind it.
pub(crate) struct Place {
    lanes: Arc<Mutex<HashMap<String, Lane>>>,
    aggregate: String,
    before: Option<oneshot::Receiver<()>>,
    behind: Option<oneshot::Sender<()>>,
}

impl Lanes {
    /// The place behind all messages of `aggregate` that have entered before.
    pub(crate) fn enter(&self, aggregate: &str) -> Place {
        let (behind, last) = oneshot::channel();
        let mut lanes = lock(&self.0);
        let before = match lanes.get_mut(aggregate) {
            Some(lane) => {
                lane.length += 1;
                Some(std::mem::replace(&mut lane.last, last))
            }
            None => {
                lanes.insert(aggregate.to_owned(), Lane { last, length: 1 });
                None
            }
        };
        Place { lanes: Arc::clone(&self.0), aggregate: aggregate.to_owned(), before, behind: Some(behind) }
    }
}

impl Place {
    /// Waits until the previous message has left; returns `false` if it was not handled, so that this one must not be handled either.
    pub(crate) async fn turn(&mut self) -> bool {
        match self.before.take() {
            Some(before) => before.await.is_ok(),
            None => true,
        }
    }

    /// The message is settled: the next may be handled.
    pub(crate) fn leave(mut self) {
        if let Some(behind) = self.behind.take() {
            // An error means that nobody is behind.
            let _ = behind.send(());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get_mut(&self.aggregate) {
            lane.length -= 1;
            if lane.length == 0 {
                lanes.remove(&self.aggregate);
            }
        }
    }
}

fn lock(lanes: &Mutex<HashMap<String, Lane>>) -> MutexGuard<'_, HashMap<String, Lane>> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_next_waits_until_the_one_before_has_left() {
        let lanes = Lanes::default();
        let [mut first, mut second, mut third] = ["a"; 3].map(|aggregate| lanes.enter(aggregate));
        assert_eq!(first.turn().now_or_never(), Some(true));
        let mut waiting = Box::pin(second.turn());
        assert_eq!(waiting.as_mut().now_or_never(), None);
        first.leave();
        assert_eq!(waiting.now_or_never(), Some(true));
        second.leave();
        assert_eq!(third.turn().now_or_never(), Some(true));
    }

    #[test]
    fn aggregates_do_not_wait_for_each_other() {
        let lanes = Lanes::default();
        let (_first, mut other) = (lanes.enter("a"), lanes.enter("b"));
        assert_eq!(other.turn().now_or_never(), Some(true));
    }

    #[test]
    fn what_is_behind_a_message_that_was_not_handled_is_not_handled() {
        let lanes = Lanes::default();
        let [first, mut second, mut third] = ["a"; 3].map(|aggregate| lanes.enter(aggregate));
        drop(first);
        assert_eq!(second.turn().now_or_never(), Some(false));
        drop(second);
        assert_eq!(third.turn().now_or_never(), Some(false));
    }

    #[test]
    fn an_empty_lane_takes_no_memory() {
        let lanes = Lanes::default();
        for number in 0..100 {
            let (first, second) = (lanes.enter(&number.to_string()), lanes.enter(&number.to_string()));
            first.leave();
            drop(second);
        }
        assert!(lock(&lanes.0).is_empty());
    }
}
