//! The service's own schema: creating it, migrating it, and noticing when it is gone.

use std::time::Duration;

use anyhow::{Context as _, bail};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::MigratorTrait;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio_util::sync::CancellationToken;

use super::{handle::Database, history, probe::Unready, transaction::begin};

/// How often the schema's existence is checked, and how often it must be missing before the process exits.
const LOOK: Duration = Duration::from_secs(5);
const PATIENCE: u32 = 2;

/// Creates the schema, if it is missing.
pub(super) async fn create(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    // IF NOT EXISTS still requires the right to create; if an operator has created the schema, the user needs none.
    let exists = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(schema);
    if exists.fetch_optional(&mut *connection).await?.is_some() {
        return Ok(());
    }
    let create = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", schema.replace('"', "\"\""));
    match sqlx::raw_sql(AssertSqlSafe(create)).execute(connection).await {
        // Two replicas that start together can both pass IF NOT EXISTS; the catalog's unique index refuses one.
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("pg_namespace_nspname_index") => {
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

/// Migrates the schema. Replicas that start together take turns. A schema that a later release has migrated further is
/// left as it is: changes expand first, so this release works with it.
///
/// # Errors
/// The database is away, or a migration fails; nothing of the failed run is stored.
pub async fn migrate<M: MigratorTrait>(database: &Database) -> anyhow::Result<()> {
    let needed: Vec<String> = M::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let outcome = bring_up::<M>(database, &needed).await;
    database.state().needs(needed);
    outcome
}

async fn bring_up<M: MigratorTrait>(database: &Database, needed: &[String]) -> anyhow::Result<()> {
    if is_up_to_date(database.connection(), needed).await? {
        return Ok(());
    }
    let transaction = begin(database).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        let patient = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
        transaction.execute_unprepared(patient).await?;
        // One number for all schemas: migrations are short, and services may as well take turns.
        transaction.execute_unprepared("SELECT pg_advisory_xact_lock(7308324465)").await?;
    }
    if is_up_to_date(transaction.inner(), needed).await? {
        return Ok(transaction.rollback().await?);
    }
    M::up(transaction.inner(), None).await.context("a migration failed")?;
    transaction.commit().await?;
    Ok(())
}

async fn is_up_to_date(connection: &impl ConnectionTrait, needed: &[String]) -> Result<bool, DbErr> {
    let backend = connection.get_database_backend();
    let exists = match backend {
        DbBackend::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
        _ => "SELECT 1 FROM sqlite_schema WHERE name = 'seaql_migrations'",
    };
    if connection.query_one_raw(Statement::from_string(backend, exists)).await?.is_none() {
        return Ok(false);
    }
    let rows = connection.query_all_raw(Statement::from_string(backend, history::HISTORY)).await?;
    let applied: Vec<String> = rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
    Ok(history::missing(needed, &applied).is_none())
}

/// Returns an error when the schema, or what the service needs in it, is gone: the process then exits, and its next start creates
/// it again. A database that is away, or read-only, is waited for.
pub(super) async fn ends_when_it_vanishes(
    database: Database,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let mut missed = 0;
    while stopping.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        missed = match database.look().await {
            Err(Unready::Vanished(what)) if missed + 1 >= PATIENCE => {
                bail!("{what}: the service exits, so that its next start creates it again");
            }
            Err(Unready::Vanished(_)) => missed + 1,
            _ => 0,
        };
    }
    Ok(())
}
