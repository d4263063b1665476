//! The outbox's numbers: for people, and for the publisher's bound on ids.

use std::collections::HashSet;

use serde::Serialize;

use super::{Store, StoreError, statement::Statement};
use crate::sql::survey as sql;

/// Pending rows are counted up to this number: it is for people, and counting must stay cheap.
pub(super) const COUNT_UP_TO: i64 = 100_000;

/// The outbox's numbers for an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Pending rows, counted up to 100,000.
    pub pending: i64,
    /// Dead rows.
    pub dead: i64,
    /// The age of the oldest pending row, in seconds.
    pub oldest_pending_seconds: f64,
}

/// A transaction that has written to the outbox and has not ended: its virtual id.
pub(crate) type Writer = String;

/// The limits of the unsettled rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsettled {
    /// The lowest id of a pending or dead row.
    pub(crate) oldest: Option<i64>,
    /// The highest id of any row; all ids below it have been given out.
    pub(crate) newest: i64,
}

impl Store {
    /// Returns the transactions that may have written rows that nobody can see yet.
    pub(crate) async fn writers(&self) -> Result<HashSet<Writer>, StoreError> {
        if !self.is_postgres() {
            return Ok(HashSet::new());
        }
        let writers = self.fetch_all(Statement::postgres(sql::WRITERS, [])).await?;
        Ok(writers.iter().map(|row| row.get("writer")).collect::<Result<_, _>>()?)
    }

    /// Returns the lowest id of the rows that may still be sent, and the highest id of all rows.
    pub(crate) async fn unsettled(&self) -> Result<Unsettled, StoreError> {
        let row = self.fetch_one(Statement::new(sql::UNSETTLED, [])).await?;
        let ends: [Option<i64>; 2] = [row.get("pending")?, row.get("dead")?];
        Ok(Unsettled { oldest: ends.into_iter().flatten().min(), newest: row.get("newest")? })
    }

    /// Returns the outbox's current numbers.
    ///
    /// # Errors
    /// The database is away.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        let row = self.fetch_one(Statement::new(sql::STATS, [COUNT_UP_TO.into()])).await?;
        Ok(Stats {
            pending: row.get("pending")?,
            dead: row.get("dead")?,
            oldest_pending_seconds: row.get::<f64>("oldest")?.max(0.0),
        })
    }

    /// Returns the number of sent rows that are kept, counted up to 100,000.
    pub(super) async fn sent(&self) -> Result<i64, StoreError> {
        Ok(self.fetch_one(Statement::new(sql::SENT, [COUNT_UP_TO.into()])).await?.get("sent")?)
    }
}
