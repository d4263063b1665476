//! A lower bound on the ids that a claim reads. Sent rows leave dead entries in the index of pending rows, and while
//! an old snapshot (a dump) keeps them there, reading the index from its beginning gets slower with each of them.
//!
//! The bound must never hide a row that may still be sent, or a later row of its aggregate would overtake it. So it
//! stays below every pending or dead row, and below every id that an open transaction may have: a transaction
//! locks the table before it takes an id, and holds the lock until its rows are visible.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Store, StoreError,
    store::{Unsettled, Writer},
};

/// How often the bound is updated at most.
const EVERY: Duration = Duration::from_secs(1);
/// The share of the time that may be spent on updating it, as a divisor.
const SHARE: u32 = 20;

/// The prefix of a prepared transaction's virtual id: it no longer has a session.
const PREPARED: &str = "-1/";

/// The bound; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Floor(Arc<AtomicI64>);

impl Floor {
    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    /// Keeps it as high as is safe.
    pub(super) async fn keep(&self, store: &Store) -> Infallible {
        let mut survey = Survey::default();
        loop {
            let began = Instant::now();
            match look(store, &mut survey).await {
                Ok(floor) => self.0.store(floor, Ordering::Release),
                // The last bound remains valid.
                Err(error) => tracing::debug!(error = %error, "the floor was not renewed"),
            }
            tokio::time::sleep(EVERY.max(began.elapsed() * SHARE)).await;
        }
    }
}

async fn look(store: &Store, survey: &mut Survey) -> Result<i64, StoreError> {
    // In this order, because the rows of a transaction that no longer holds a lock are visible to every later statement.
    survey.writers(store.writers().await?);
    Ok(survey.unsettled(store.unsettled().await?))
}

/// Which ids are settled: all of them are committed or rolled back.
#[derive(Debug, Default)]
struct Survey {
    settled: i64,
    /// An id that is settled once certain writers have ended. `None`: they have not been looked up yet.
    candidate: Option<(i64, Option<HashSet<Writer>>)>,
    reached: bool,
}

impl Survey {
    fn writers(&mut self, now: HashSet<Writer>) {
        // A writer gets another name when it is prepared, so any prepared transaction may be one of those.
        let prepared = now.iter().any(|writer| writer.starts_with(PREPARED));
        self.reached = match &mut self.candidate {
            Some((_, Some(awaited))) => {
                awaited.retain(|writer| now.contains(writer));
                awaited.is_empty() && !prepared
            }
            Some((_, unknown @ None)) => unknown.insert(now).is_empty(),
            None => false,
        };
    }

    /// The bound that follows from the current state.
    fn unsettled(&mut self, now: Unsettled) -> i64 {
        if let Some((newest, _)) = self.candidate.take_if(|_| self.reached) {
            self.settled = newest;
        }
        self.candidate.get_or_insert((now.newest, None));
        now.oldest.map_or(self.settled + 1, |oldest| oldest.min(self.settled + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writers(names: &[&str]) -> HashSet<Writer> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn unsettled(oldest: Option<i64>, newest: i64) -> Unsettled {
        Unsettled { oldest, newest }
    }

    #[test]
    fn the_floor_follows_what_is_settled() {
        let mut survey = Survey::default();
        survey.writers(writers(&[]));
        assert_eq!(survey.unsettled(unsettled(None, 10)), 1, "nobody has looked for writers yet");
        survey.writers(writers(&[]));
        assert_eq!(survey.unsettled(unsettled(None, 20)), 11);
        survey.writers(writers(&[]));
        assert_eq!(survey.unsettled(unsettled(None, 20)), 21);
    }

    #[test]
    fn the_floor_waits_for_every_writer_that_may_hold_a_lower_id() {
        let mut survey = Survey::default();
        survey.writers(writers(&[]));
        survey.unsettled(unsettled(None, 10));
        survey.writers(writers(&["slow", "quick"]));
        assert_eq!(survey.unsettled(unsettled(None, 20)), 1);
        survey.writers(writers(&["slow", "new"]));
        assert_eq!(survey.unsettled(unsettled(None, 30)), 1);
        survey.writers(writers(&["new"]));
        assert_eq!(survey.unsettled(unsettled(None, 40)), 11, "what came later is not waited for");
    }

    #[test]
    fn the_floor_waits_for_a_writer_that_is_prepared_meanwhile() {
        let mut survey = Survey::default();
        survey.writers(writers(&[]));
        survey.unsettled(unsettled(None, 10));
        survey.writers(writers(&["3/17"]));
        survey.unsettled(unsettled(None, 20));
        survey.writers(writers(&["-1/4711"]));
        assert_eq!(survey.unsettled(unsettled(None, 30)), 1);
        survey.writers(writers(&[]));
        assert_eq!(survey.unsettled(unsettled(None, 40)), 11);
    }

    #[test]
    fn the_floor_is_below_every_row_that_is_pending_or_dead() {
        let mut survey = Survey::default();
        survey.writers(writers(&[]));
        survey.unsettled(unsettled(Some(3), 10));
        survey.writers(writers(&[]));
        assert_eq!(survey.unsettled(unsettled(Some(3), 10)), 3);
        survey.writers(writers(&[]));
        assert_eq!(survey.unsettled(unsettled(Some(2), 10)), 2, "a row that somebody made pending again");
    }
}
