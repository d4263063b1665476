//! Whether writers have to wake the publisher. PostgreSQL only; SQLite is polled.

use super::{Store, StoreError, statement::Statement};
use crate::sql::sleep as sql;

impl Store {
    /// Whether the next writer still has to notify: none has, not even one that has rolled back since.
    pub(crate) async fn is_asleep(&self) -> Result<bool, StoreError> {
        if !self.is_postgres() {
            return Ok(true);
        }
        let row = self.fetch_optional(Statement::postgres(sql::IS_ASLEEP, [])).await?;
        row.map_or(Ok(false), |row| Ok(row.get("asleep")?))
    }

    /// Sets whether the next writer has to notify. It takes effect at once, whatever happens to the transaction, and does not
    /// wait for the disk.
    pub(crate) async fn set_asleep(&self, asleep: bool) -> Result<(), StoreError> {
        if self.is_postgres() {
            self.fetch_optional(Statement::postgres(sql::SET_ASLEEP, [i64::from(asleep).into()])).await?;
        }
        Ok(())
    }

    /// The channel on which this outbox's writers notify, and a leader that releases the lease.
    pub(crate) async fn channel(&self) -> Result<String, StoreError> {
        let schema: String = self.fetch_one(Statement::postgres(sql::SCHEMA, [])).await?.get("schema")?;
        Ok(format!("outbox.{schema}"))
    }
}
