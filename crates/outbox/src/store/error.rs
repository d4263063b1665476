use std::fmt;

use thiserror::Error;

/// The outbox's database refused, or is away.
///
/// It wraps sqlx's error and displays like it; methods answer what callers decide by.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct StoreError(#[from] sqlx::Error);

impl StoreError {
    /// Whether the outbox's tables are missing: the service that owns them has not created them yet, or this is another schema.
    pub fn is_missing_table(&self) -> bool {
        let sqlx::Error::Database(error) = &self.0 else { return false };
        match error.code().as_deref() {
            // undefined_table, of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
            Some("42P01") => true,
            // SQLITE_ERROR, which SQLite returns for everything that is wrong with a statement.
            Some("1") => error.message().starts_with("no such table"),
            _ => false,
        }
    }

    /// Whether all connections of the pool were in use, or none could be opened: the pool only reports the time-out.
    pub fn is_pool_timeout(&self) -> bool {
        matches!(self.0, sqlx::Error::PoolTimedOut)
    }

    /// The error of the driver.
    pub fn driver(&self) -> &sqlx::Error {
        &self.0
    }

    /// A value that was read, or should be written, does not have the required form.
    pub(crate) fn malformed(what: impl fmt::Display) -> Self {
        Self(sqlx::Error::Decode(what.to_string().into()))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use sqlx::{Connection as _, Executor as _};

    use super::*;

    #[tokio::test]
    async fn a_table_that_is_not_there_is_told_from_a_column_that_is_not() {
        const CASES: [(&str, bool); 3] = [
            ("SELECT 1 FROM outbox_messages", true),
            ("DELETE FROM outbox_messages", true),
            ("SELECT nothing_of_that_name", false),
        ];
        let mut sqlite = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for (statement, missing) in CASES {
            let error = StoreError::from(sqlite.execute(statement).await.unwrap_err());
            assert_eq!(error.is_missing_table(), missing, "{error}");
        }
        let Some(postgres) = shop_testing::postgres().await else { return };
        let mut postgres = sqlx::PgConnection::connect(&postgres.url).await.unwrap();
        for (statement, missing) in CASES {
            let error = StoreError::from(postgres.execute(statement).await.unwrap_err());
            assert_eq!(error.is_missing_table(), missing, "{error}");
        }
    }
}
