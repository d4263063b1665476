//! Database connections: PostgreSQL with a schema for each service, or an embedded SQLite file.

use std::time::Duration;

use anyhow::Context as _;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait;
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::time::Instant;

use crate::config::DatabaseUrl;

/// How long a start waits for a database that does not answer yet.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection is trusted after the pool has last seen it answer, which it does whenever one is given back. A
/// busy pool then asks once for each use instead of twice; no database restarts faster than this.
const TRUST: Duration = Duration::from_millis(100);

/// How many connections a service holds at most.
pub const MAX_CONNECTIONS: u32 = 10;

/// Opens a pool whose connections see `schema` (PostgreSQL creates it when it is missing).
///
/// # Errors
/// The database cannot be reached within 30 seconds, or refuses.
pub async fn connect(url: &DatabaseUrl, schema: &str) -> anyhow::Result<DatabaseConnection> {
    let deadline = Instant::now() + START_PATIENCE;
    let mut pause = Duration::from_millis(200);
    loop {
        match open(url, schema).await {
            Ok(database) => return Ok(database),
            Err(error) if Instant::now() + pause < deadline && !url.is_sqlite() => {
                tracing::warn!(database = ?url, error = %error, "the database does not answer yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(3));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("the database {url:?} cannot be opened"));
            }
        }
    }
}

/// Opens what is there already, for a tool: it creates neither a schema nor a file, and does not wait.
///
/// # Errors
/// The database cannot be reached, or refuses.
pub async fn attach(url: &DatabaseUrl, schema: &str) -> anyhow::Result<DatabaseConnection> {
    Database::connect(options(url, schema, false))
        .await
        .with_context(|| format!("the database {url:?} cannot be opened"))
}

/// Like [`attach`], but connects when it is first used, `connections` times at most: a database that is away is told of then.
///
/// # Errors
/// The address cannot be understood.
pub async fn lazily(url: &DatabaseUrl, schema: &str, connections: u32) -> anyhow::Result<DatabaseConnection> {
    let mut options = options(url, schema, false);
    options.connect_lazy(true).max_connections(connections);
    Database::connect(options).await.with_context(|| format!("the database {url:?} cannot be opened"))
}

async fn open(url: &DatabaseUrl, schema: &str) -> Result<DatabaseConnection, DbErr> {
    let database = Database::connect(options(url, schema, true)).await?;
    if !url.is_sqlite() {
        create_schema(&database, schema).await?;
    }
    Ok(database)
}

fn options(url: &DatabaseUrl, schema: &str, create: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.expose());
    options
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire_if_idle_for(TRUST)
        .sqlx_logging(false);
    if url.is_sqlite() {
        // One connection: SQLite has one writer anyway, and a memory database is its connection's own.
        options.min_connections(1).max_connections(1).map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(create)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5))
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        });
        return options;
    }
    options
        .max_connections(MAX_CONNECTIONS)
        .idle_timeout(Duration::from_secs(300))
        .statement_timeout(Duration::from_secs(10))
        .map_sqlx_postgres_opts({
            let schema = schema.to_owned();
            move |postgres| postgres.application_name(&schema).options([("search_path", &schema)])
        });
    options
}

async fn create_schema(database: &DatabaseConnection, schema: &str) -> Result<(), DbErr> {
    // IF NOT EXISTS still needs the right to create; a database where an operator made the schema needs none.
    let exists = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    let exists = Statement::from_sql_and_values(DbBackend::Postgres, exists, [schema.into()]);
    if database.query_one_raw(exists).await?.is_none() {
        match database.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")).await {
            Ok(_) => {}
            // Two replicas that start together can both pass IF NOT EXISTS; the catalog's unique index refuses one.
            Err(error) if error.to_string().contains("pg_namespace_nspname_index") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Brings the schema up to date. Replicas that start together take turns.
///
/// # Errors
/// The database is away, or a migration fails; nothing of the failed run is kept.
pub async fn migrate<M: MigratorTrait>(database: &DatabaseConnection) -> anyhow::Result<()> {
    let transaction = begin(database).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // One number for all schemas: migrations are short, and an order between services does no harm.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        transaction.execute_unprepared("SELECT pg_advisory_xact_lock(7308324465)").await?;
    }
    M::up(&transaction, None).await.context("a migration failed")?;
    transaction.commit().await?;
    Ok(())
}

/// Begins a transaction that is going to write. SQLite then takes its write lock at once, where a transaction that
/// began by reading would fail with `SQLITE_BUSY` instead of waiting its turn.
///
/// # Errors
/// The database is away.
pub async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let sqlite_transaction_mode =
        (database.get_database_backend() == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
    database
        .begin_with_options(TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() })
        .await
}

/// Whether the database answers, for `/readyz`.
///
/// # Errors
/// It does not.
pub async fn ping(database: &DatabaseConnection) -> anyhow::Result<()> {
    database.ping().await?;
    Ok(())
}
