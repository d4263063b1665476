//! An operator's operations on an outbox: inspect it, redrive dead rows, or discard them.
//!
//! All of them are safe while a publisher runs, and can be repeated: a publisher marks only pending rows, and these
//! operations only change rows that are still dead, each checked in the statement itself.

use std::io;

use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use super::{
    FullRow, Leader, RowFilter, RowKey, RowStatus, RowSummary, Stats, Store, StoreError, statement::Statement,
};
use crate::sql::operate as sql;

/// The overview for an operator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// The numbers of pending and dead rows.
    #[serde(flatten)]
    pub stats: Stats,
    /// The number of sent rows that are kept, counted up to 100,000.
    pub sent: i64,
    /// The current or last holder of the lease; `None` if there has never been one.
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
    /// Returns a page of rows, by id.
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

    /// Returns a complete row, whatever its status. Finding it by its `message_id`, which has no index, reads all rows.
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

    /// Makes dead rows pending again, with their attempts reset, and wakes the publisher. Returns those that were
    /// dead, by id; no other row is changed.
    ///
    /// # Errors
    /// The database is away; nothing was done.
    pub async fn redrive(&self, keys: &[RowKey]) -> Result<Vec<RowSummary>, StoreError> {
        let (ids, messages) = names(keys);
        let values = [ids.as_slice().into(), messages.as_slice().into()];
        self.redriven(Statement::new(sql::REDRIVE, values)).await
    }

    /// Like [`Store::redrive`], for the first `limit` dead rows with a higher id than `after`, which is the last one of the
    /// previous result, so that a row that dies again meanwhile is not redriven forever.
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

    /// Deletes dead rows permanently, and wakes the publisher for the rows that they held back. Returns those that were dead, by
    /// id; no other row is changed.
    ///
    /// The rows are only deleted once `record` has taken them, so that nothing is lost without a trace. A transaction
    /// is open meanwhile.
    ///
    /// # Errors
    /// The database is away, or `record` fails; nothing was deleted, unless only the answer to the commit was lost.
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

    /// Returns the numbers of pending, dead and sent rows, and the publisher.
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
