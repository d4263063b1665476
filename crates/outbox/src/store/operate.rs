//! What an operator does to an outbox: look at it, redrive what is dead, or discard it.
//!
//! All of it is safe beside a publisher at work, and may be repeated: a publisher marks pending rows only, and what is
//! here touches rows only that are still dead, each in the statement itself.

use std::io;

use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use super::{
    FullRow, Leader, RowFilter, RowKey, RowStatus, RowSummary, Stats, Store, StoreError, statement::Statement,
};
use crate::sql::operate as sql;

/// What an operator wants to know first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// What waits and what is dead.
    #[serde(flatten)]
    pub stats: Stats,
    /// Rows that were sent and are kept, 100,000 at most.
    pub sent: i64,
    /// The last publisher to have had the lease; `None` when none ever had.
    pub leader: Option<Leader>,
}

/// Why nothing was discarded.
#[derive(Debug, Error)]
pub enum DiscardError {
    /// The database refused, or is away.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// The rows could not be recorded, so they were kept.
    #[error("the rows were kept, because they could not be recorded: {0}")]
    NotRecorded(io::Error),
}

impl Store {
    /// A page of rows, by id.
    ///
    /// Pending and dead rows are found by their indexes; for sent rows of one aggregate all sent rows are read.
    ///
    /// # Errors
    /// The database is away.
    pub async fn list(&self, filter: &RowFilter) -> Result<Vec<RowSummary>, StoreError> {
        let list = match filter.status {
            RowStatus::Pending => sql::LIST_PENDING,
            RowStatus::Dead => sql::LIST_DEAD,
            RowStatus::Sent => sql::LIST_SENT,
        };
        let (kind, id) = filter.aggregate.as_ref().map(|(kind, id)| (kind.as_str(), id.as_str())).unzip();
        let limit = i64::from(filter.limit.clamp(1, RowFilter::MAX_LIMIT));
        let values = [filter.after.into(), kind.into(), id.into(), limit.into()];
        self.fetch_all(Statement::new(list, values)).await?.iter().map(RowSummary::read).collect()
    }

    /// One row, whole, whatever its status. By its `message_id`, for which there is no index, all rows are read.
    ///
    /// # Errors
    /// The database is away.
    pub async fn find(&self, key: RowKey) -> Result<Option<FullRow>, StoreError> {
        let find = match key {
            RowKey::Id(id) => Statement::new(sql::FIND_BY_ID, [id.into()]),
            RowKey::Message(id) => Statement::new(sql::FIND_BY_MESSAGE, [id.into()]),
        };
        self.fetch_optional(find).await?.as_ref().map(FullRow::read).transpose()
    }

    /// Makes dead rows pending again, with their tries forgotten, and wakes the publisher. Returns those that were
    /// dead, by id; no other row is touched.
    ///
    /// # Errors
    /// The database is away; nothing was done.
    pub async fn redrive(&self, keys: &[RowKey]) -> Result<Vec<RowSummary>, StoreError> {
        let (ids, messages) = names(keys);
        let values = [ids.as_slice().into(), messages.as_slice().into()];
        self.redriven(Statement::new(sql::REDRIVE, values)).await
    }

    /// Like [`Store::redrive`], for the first `limit` dead rows with a higher id than `after`: the last one of the
    /// answer before, so that a row which dies again meanwhile is not redriven for ever.
    ///
    /// # Errors
    /// The database is away; nothing was done.
    pub async fn redrive_next(&self, after: i64, limit: u32) -> Result<Vec<RowSummary>, StoreError> {
        let limit = i64::from(limit.clamp(1, RowFilter::MAX_LIMIT));
        self.redriven(Statement::new(sql::REDRIVE_NEXT, [after.into(), limit.into()])).await
    }

    async fn redriven(&self, redrive: Statement<'_>) -> Result<Vec<RowSummary>, StoreError> {
        let rows = self.fetch_all(redrive).await?;
        let mut rows: Vec<RowSummary> = rows.iter().map(RowSummary::read).collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }

    /// Removes dead rows for good, and wakes the publisher for what they held back. Returns those that were dead, by
    /// id; no other row is touched.
    ///
    /// The rows are gone only once `record` has taken them, so that nothing is lost without a trace. A transaction
    /// is open meanwhile.
    ///
    /// # Errors
    /// The database is away, or `record` fails; nothing was removed, unless only the answer to the commit was lost.
    pub async fn discard(
        &self,
        keys: &[RowKey],
        record: impl FnOnce(&[FullRow]) -> io::Result<()>,
    ) -> Result<Vec<FullRow>, DiscardError> {
        let (ids, messages) = names(keys);
        let values = [ids.as_slice().into(), messages.as_slice().into()];
        let discard = Statement::new(sql::DISCARD, values);
        let mut transaction = self.begin().await?;
        let rows = self.noticed(transaction.sqlx().fetch_all(&discard).await)?;
        let mut rows: Vec<FullRow> = rows.iter().map(FullRow::read).collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.summary.id);
        record(&rows).map_err(DiscardError::NotRecorded)?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(rows)
    }

    /// What waits, what is dead, what is kept, and who publishes.
    ///
    /// # Errors
    /// The database is away.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        let sent = self.sent().await?;
        Ok(Overview { stats: self.stats().await?, sent, leader: self.leader().await? })
    }
}

/// The ids and the message ids among `keys`.
fn names(keys: &[RowKey]) -> (Vec<i64>, Vec<Uuid>) {
    let (mut ids, mut messages) = (Vec::new(), Vec::new());
    for key in keys {
        match key {
            RowKey::Id(id) => ids.push(*id),
            RowKey::Message(id) => messages.push(*id),
        }
    }
    (ids, messages)
}
