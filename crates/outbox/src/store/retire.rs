//! Deleting old sent rows.

use std::time::Duration;

use super::{Store, StoreError, statement::Statement};
use crate::sql::retire::RETIRE;

impl Store {
    /// Deletes at most `chunk` of the oldest sent rows from id `from` on, if they are older than `retention`; returns
    /// their number and the highest id among them.
    pub(crate) async fn retire(
        &self,
        retention: Duration,
        from: i64,
        chunk: u32,
    ) -> Result<(u64, Option<i64>), StoreError> {
        let values = [retention.into(), i64::from(chunk).into(), from.into()];
        let removed = self.fetch_all(Statement::new(RETIRE, values)).await?;
        let ids: Vec<i64> = removed.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        Ok((ids.len() as u64, ids.into_iter().max()))
    }
}
