//! The embedded database: one file, one connection.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sea_orm::SqlxSqliteConnector;
use sqlx::{
    Connection as _, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use sqlx_core::transaction::TransactionManager as _;

use super::{
    handle::Database,
    options,
    settings::Settings,
    state::{Server, State},
};
use crate::config::DatabaseUrl;

/// How long a request waits for its turn.
const ACQUIRE: Duration = Duration::from_secs(5);

pub(super) async fn open(url: &DatabaseUrl, settings: &Settings, create: bool) -> anyhow::Result<Database> {
    let options = options::sqlite(url, create)?;
    let pool = pool(url, options.get_filename()).min_connections(1).connect_with(options.clone()).await?;
    let server = server(url, options.create_if_missing(false));
    if let Server::File(options) = &server {
        // A file that is deleted must not be created again, empty, unnoticed.
        pool.set_connect_options(options.clone());
    }
    let state = Arc::new(State::new(settings.clone(), server));
    Ok(Database::new(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), state))
}

pub(super) fn lazily(url: &DatabaseUrl, settings: &Settings) -> anyhow::Result<Database> {
    let options = options::sqlite(url, false)?;
    let pool = pool(url, options.get_filename()).connect_lazy_with(options.clone());
    let state = Arc::new(State::new(settings.clone(), server(url, options)));
    Ok(Database::new(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), state))
}

fn server(url: &DatabaseUrl, options: SqliteConnectOptions) -> Server {
    if options::is_in_memory(url) { Server::Memory } else { Server::File(options) }
}

/// Uses one connection: SQLite has one writer anyway, and an in-memory database belongs to its connection. For the same reason the
/// connection has no maximum age.
fn pool(url: &DatabaseUrl, file: &Path) -> SqlitePoolOptions {
    let file = (!options::is_in_memory(url)).then(|| Arc::new(File::new(file)));
    let opened = file.clone();
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |_, _| {
            if let Some(file) = &opened {
                file.opened();
            }
            Box::pin(async { Ok(()) })
        })
        .before_acquire(move |connection, _| {
            let file = file.clone();
            Box::pin(async move {
                match file {
                    Some(file) => Ok(!connection.is_in_transaction() && file.is_still_there()),
                    None => end_transaction(connection).await,
                }
            })
        })
}

/// SQLite ends a transaction by itself when its disk is full. The driver does not notice: it continues as if the transaction were open, so
/// the next one would not be a transaction at all. If the connection cannot be closed, because the database would be lost with it, it is
/// put into the state that the driver expects, and the transaction is ended there.
async fn end_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // This fails if there is no transaction.
        let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
        <Sqlite as sqlx::Database>::TransactionManager::rollback(connection).await?;
    }
    Ok(!connection.is_in_transaction())
}

/// The file that the connection has open. If that file is deleted, or replaced by another with its name, it can still be written to, but
/// nobody will ever find the data.
struct File {
    path: PathBuf,
    opened: Mutex<Option<(u64, u64)>>,
}

impl File {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: Mutex::default() }
    }

    fn opened(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = self.identity();
    }

    fn is_still_there(&self) -> bool {
        let identity = self.identity();
        identity.is_some() && identity == *self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(&self) -> Option<(u64, u64)> {
        fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()))
    }
}
