use std::{future::Future, time::Duration};

use shop_messaging::BoxError;
use sqlx::{PgPool, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::{Sqlite, SqlitePool};

use crate::{Pool, Transaction, inbox};

/// The database with a consumer's inbox and its effects.
pub trait Database: Clone + Send + Sync + 'static {
    /// The transactions that handlers write in.
    type Transaction: Transaction + 'static;

    /// Begins a transaction that is going to write.
    ///
    /// # Errors
    /// The database is away.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, BoxError>> + Send;

    /// Deletes at most `chunk` messages from the inbox that were received longer than `retention` ago, and returns how many.
    ///
    /// # Errors
    /// The database is away.
    fn forget(&self, retention: Duration, chunk: u32) -> impl Future<Output = Result<u64, BoxError>> + Send;
}

#[cfg(feature = "sea-orm")]
impl Database for sea_orm::DatabaseConnection {
    type Transaction = sea_orm::DatabaseTransaction;

    async fn begin(&self) -> Result<Self::Transaction, BoxError> {
        use sea_orm::{DbBackend, SqliteTransactionMode, TransactionOptions, TransactionTrait as _};
        let sqlite_transaction_mode =
            (self.get_database_backend() == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        Ok(self.begin_with_options(options).await?)
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        Ok(inbox::forget(self, retention, chunk).await?)
    }
}

impl Database for PgPool {
    type Transaction = sqlx::Transaction<'static, Postgres>;

    async fn begin(&self) -> Result<Self::Transaction, BoxError> {
        Ok(Self::begin(self).await?)
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        Ok(inbox::forget_sqlx(&Pool::from(self.clone()), retention, chunk).await?)
    }
}

#[cfg(feature = "sqlite")]
impl Database for SqlitePool {
    type Transaction = sqlx::Transaction<'static, Sqlite>;

    /// SQLite takes its write lock at once: a transaction that began with a read would fail instead of waiting its turn.
    async fn begin(&self) -> Result<Self::Transaction, BoxError> {
        Ok(self.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        Ok(inbox::forget_sqlx(&Pool::from(self.clone()), retention, chunk).await?)
    }
}
