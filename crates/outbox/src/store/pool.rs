//! The pool of an outbox, which the store uses for everything, including its listening connection.

use std::time::Duration;

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
#[cfg(feature = "sqlite")]
use sqlx::{
    Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

use super::{SqlxConnection, StoreError};
use crate::sql;

/// The planner's settings in each session of a [`Store`](crate::Store) on PostgreSQL.
///
/// Each statement of the store is meant to follow one index in its order. PostgreSQL also knows plans that read the whole table, or
/// all pending rows to sort them, and prefers them while it believes the table to be small. It also keeps plans: after
/// a burst such a plan takes seconds for each claim. Planning each time costs a third of a millisecond for hundreds of rows.
///
/// The planner gives disabled plan types an extremely high cost, and a plan with such a cost, if there is no other, is one that it
/// would compile first: therefore JIT is off, too.
pub const SESSION: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("jit", "off"),
];

/// How many connections a [`Store`](crate::Store) on PostgreSQL uses at most: for marks, claims and chores, and one that listens.
pub const CONNECTIONS: u32 = 5;

/// How long a statement waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long SQLite waits for the lock of another process.
#[cfg(feature = "sqlite")]
const BUSY: Duration = Duration::from_secs(5);

/// A pool of connections to an outbox's database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Pool {
    /// To PostgreSQL. Each session must be in the outbox's schema, with the settings of [`SESSION`].
    Postgres(PgPool),
    /// To SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(SqlitePool),
}

impl Pool {
    /// Creates a pool for one outbox, and opens its first connection: at most [`CONNECTIONS`] to PostgreSQL, each with the settings of
    /// [`SESSION`], or one to a SQLite file (with the feature `sqlite`).
    ///
    /// # Errors
    /// The address is invalid, or the database refuses or is away.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let pool = Self::lazily(url)?;
        pool.acquire().await?;
        Ok(pool)
    }

    /// Like [`Pool::connect`], but connects on first use, so that a publisher can wait for a database that is away.
    ///
    /// # Errors
    /// The address is invalid.
    pub fn lazily(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("sqlite:") { to_sqlite(url) } else { to_postgres(url) }
    }

    pub(crate) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => Connection::Sqlite(pool.acquire().await?),
        })
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => Transaction::Sqlite(pool.begin().await?),
        })
    }
}

fn to_postgres(url: &str) -> Result<Pool, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| Box::pin(tune(connection)));
    Ok(Pool::Postgres(pool.connect_lazy_with(options)))
}

/// One connection: SQLite has one writer anyway, and an in-memory database belongs to its connection.
#[cfg(feature = "sqlite")]
fn to_sqlite(url: &str) -> Result<Pool, StoreError> {
    let options: SqliteConnectOptions = url.parse()?;
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None);
    Ok(Pool::Sqlite(pool.connect_lazy_with(options.journal_mode(SqliteJournalMode::Wal).busy_timeout(BUSY))))
}

#[cfg(not(feature = "sqlite"))]
fn to_sqlite(_: &str) -> Result<Pool, StoreError> {
    Err(sqlx::Error::Configuration("shop-outbox was built without its feature `sqlite`".into()).into())
}

/// Gives a session of PostgreSQL the settings of [`SESSION`]: for the `after_connect` of a pool that the store did not create
/// itself. It uses a statement, because poolers drop start-up parameters.
///
/// # Errors
/// The connection is broken.
pub async fn tune(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let (names, values): (Vec<&str>, Vec<&str>) = SESSION.into_iter().unzip();
    sqlx::query(sql::session::SET).bind(names).bind(values).persistent(false).execute(connection).await?;
    Ok(())
}

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self::Postgres(pool)
    }
}

#[cfg(feature = "sqlite")]
impl From<SqlitePool> for Pool {
    fn from(pool: SqlitePool) -> Self {
        Self::Sqlite(pool)
    }
}

/// The pool under a sea-orm connection.
///
/// # Panics
/// This crate was built without support for the connection's database.
#[cfg(feature = "sea-orm")]
impl From<sea_orm::DatabaseConnection> for Pool {
    fn from(connection: sea_orm::DatabaseConnection) -> Self {
        #[cfg(feature = "sqlite")]
        if connection.get_database_backend() == sea_orm::DbBackend::Sqlite {
            return Self::Sqlite(connection.get_sqlite_connection_pool().clone());
        }
        Self::Postgres(connection.get_postgres_connection_pool().clone())
    }
}

/// A connection borrowed from the pool.
#[derive(Debug)]
pub(crate) enum Connection {
    Postgres(PoolConnection<Postgres>),
    #[cfg(feature = "sqlite")]
    Sqlite(PoolConnection<Sqlite>),
}

impl Connection {
    pub(crate) fn sqlx(&mut self) -> SqlxConnection<'_> {
        match self {
            Self::Postgres(connection) => connection.into(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => connection.into(),
        }
    }

    pub(crate) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(connection) => connection.ping().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => connection.ping().await,
        }
    }
}

/// One of the store's own transactions. It is rolled back if it is dropped.
#[derive(Debug)]
pub(crate) enum Transaction {
    Postgres(sqlx::Transaction<'static, Postgres>),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, Sqlite>),
}

impl Transaction {
    pub(crate) fn sqlx(&mut self) -> SqlxConnection<'_> {
        match self {
            Self::Postgres(transaction) => transaction.into(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => transaction.into(),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(transaction) => transaction.commit().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => transaction.commit().await,
        }
    }
}
