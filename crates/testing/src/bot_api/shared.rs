use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::state::State;

/// Shared by the protocol's side and the test's side.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Counts changes, for tasks that wait for one.
    changes: watch::Sender<u64>,
}

impl Shared {
    /// Without waking tasks that wait for a change.
    pub(super) fn quietly<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes tasks that wait for a change.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let outcome = self.quietly(act);
        self.changes.send_modify(|changes| *changes += 1);
        outcome
    }

    /// The number of changes so far, for tasks that wait for the next.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
