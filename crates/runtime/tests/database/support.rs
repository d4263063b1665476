//! A schema with one table, and helpers.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::prelude::*;
use shop_runtime::database::{self, Database, Settings};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

pub(crate) const SCHEMA: &str = "things";

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateThings)]
    }
}

struct CreateThings;

impl MigrationName for CreateThings {
    fn name(&self) -> &'static str {
        "things_0001_create"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateThings {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let create = "CREATE TABLE things (id bigint PRIMARY KEY, filler text)";
        manager.get_connection().execute_unprepared(create).await?;
        Ok(())
    }
}

/// The database at `url`, with its table.
pub(crate) async fn migrated(url: &str, settings: impl Into<Settings>) -> Database {
    let database = database::connect(&url.parse().unwrap(), settings).await.unwrap();
    database::migrate::<Migrator>(&database).await.unwrap();
    database
}

pub(crate) async fn insert(connection: &impl ConnectionTrait, id: i64, filler: &str) -> Result<(), DbErr> {
    let insert = "INSERT INTO things (id, filler) VALUES ($1, $2)";
    let backend = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, insert, [id.into(), filler.into()]);
    connection.execute_raw(statement).await.map(drop)
}

/// The stored ids, in order.
pub(crate) async fn ids(connection: &impl ConnectionTrait) -> Vec<i64> {
    let statement =
        Statement::from_string(connection.get_database_backend(), "SELECT id FROM things ORDER BY id");
    let rows = connection.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
}

/// The text that `sql` returns, through a pool.
pub(crate) async fn text(database: &Database, sql: &str) -> Result<String, DbErr> {
    let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.unwrap().try_get_by_index(0)
}

/// Runs `sql` on a separate connection, as an administrator would.
pub(crate) async fn administer(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
        // One by one, because ALTER SYSTEM must not be in a transaction.
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// The number that `sql` returns, on a separate connection.
pub(crate) async fn number(url: &str, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

/// Waits until `done`, and returns how long it took.
pub(crate) async fn until(patience: Duration, what: &str, mut done: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < patience, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}
