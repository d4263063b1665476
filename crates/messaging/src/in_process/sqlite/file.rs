//! The file, and the process's state for it.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Sqlite, SqlitePool, Transaction,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous,
    },
};
use tokio::sync::Notify;

use super::super::fences::Fences;

/// How long opening waits for a process that is about to end to release the file.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = include_str!("schema.sql");

/// The version of [`SCHEMA`] (`user_version`).
const VERSION: i64 = 1;

#[derive(Debug)]
pub(super) struct File {
    pool: SqlitePool,
    path: PathBuf,
    memory: Mutex<Memory>,
}

/// State that ends with the process.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) fences: Fences,
    /// The active consumers, by queue.
    pub(super) active: Fences,
    /// The messages being handled.
    pub(super) taken: HashSet<i64>,
    arrivals: HashMap<String, Arc<Notify>>,
}

impl Memory {
    /// Is notified when a message has arrived in `queue`.
    pub(super) fn arrived(&mut self, queue: &str) -> Arc<Notify> {
        match self.arrivals.get(queue) {
            Some(arrived) => Arc::clone(arrived),
            None => Arc::clone(self.arrivals.entry(queue.to_owned()).or_default()),
        }
    }
}

impl File {
    /// Opens the file, and creates it if it is missing.
    ///
    /// Its lock is held until the process ends, however it ends. A commit is on disk when it returns.
    pub(super) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(PATIENCE)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let file = Self { pool, path: path.to_owned(), memory: Mutex::default() };
        file.prepare().await?;
        Ok(file)
    }

    async fn prepare(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
        match version {
            VERSION => Ok(()),
            0 => {
                sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
                transaction.commit().await
            }
            newer => Err(sqlx::Error::Configuration(
                format!("it has version {newer}, and this program knows {VERSION}").into(),
            )),
        }
    }

    /// A transaction, the only one at this time.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// No step under the lock can panic between two changes.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes one consumer of `queue`.
    pub(super) fn wake(&self, queue: &str) {
        self.memory().arrived(queue).notify_one();
    }
}
