//! What the writers and the operator have done, as they know it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::plan::Body;

/// An event that was appended, whatever became of its transaction.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) aggregate: String,
    pub(crate) version: i64,
    pub(crate) body: Body,
}

/// Written down while the run goes on.
#[derive(Debug)]
pub(crate) struct Ledger {
    began: Instant,
    entries: Mutex<Entries>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) committed: Vec<Event>,
    pub(crate) rolled_back: Vec<Event>,
    /// Poison that was put right.
    pub(crate) cured: HashSet<Uuid>,
    /// Poison that was deleted, and when at the earliest.
    pub(crate) discarded: HashMap<Uuid, Instant>,
    /// How often the broker had refused a row before somebody made it forget.
    pub(crate) forgotten_attempts: HashMap<Uuid, usize>,
    /// `(epoch, holder)` as publishers told it.
    pub(crate) leaders: HashSet<(i64, String)>,
    /// How many times a publisher lost its lease that was not asked to stop.
    pub(crate) lapses: usize,
    /// How many took so long to stop that they may have lost it before.
    pub(crate) slow_stops: usize,
    /// What happened, for people.
    pub(crate) history: Vec<(Duration, String)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { began: Instant::now(), entries: Mutex::default() }
    }
}

impl Ledger {
    pub(crate) fn write(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, what: impl Into<String>) {
        let at = self.began.elapsed();
        self.write().history.push((at, what.into()));
    }

    pub(crate) fn transaction(&self, events: Vec<Event>, committed: bool) {
        let mut entries = self.write();
        if committed { entries.committed.extend(events) } else { entries.rolled_back.extend(events) }
    }
}
