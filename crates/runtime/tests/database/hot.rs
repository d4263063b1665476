//! Connections that stay out of the pool while they are in constant use.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use shop_runtime::database::{self, Database, Settings};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::support::{SCHEMA, until};

/// A pool of `connections`, whose warm ones are known to be idle.
async fn pool_of(connections: u32) -> Option<(Database, shop_testing::TestDatabase)> {
    let postgres = shop_testing::postgres().await?;
    let settings = Settings::from(SCHEMA).connections(connections);
    let database = database::connect(&postgres.url.parse().unwrap(), settings).await.unwrap();
    Some((database, postgres))
}

fn idle(database: &Database) -> usize {
    database.connection().get_postgres_connection_pool().num_idle()
}

async fn ask(database: &Database, sql: &str) -> i32 {
    let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

/// Longer than a connection is kept, and shorter than anything is awaited.
const SOON: Duration = Duration::from_secs(2);

const PID: &str = "SELECT pg_backend_pid()";

#[tokio::test]
async fn the_next_statement_takes_the_connection_of_the_last_and_later_the_pool_has_it_back() {
    let Some((database, _postgres)) = pool_of(1).await else { return };
    let first = ask(&database, PID).await;
    assert_eq!(idle(&database), 0, "it is kept");
    assert_eq!(ask(&database, PID).await, first);
    until(SOON, "the pool has it back", async || idle(&database) == 1).await;
    assert_eq!(ask(&database, PID).await, first, "it was not closed");
}

#[tokio::test]
async fn a_transaction_gets_a_connection_though_statements_never_end() {
    let Some((database, _postgres)) = pool_of(2).await else { return };
    let mut busy = JoinSet::new();
    for _ in 0..8 {
        let database = database.clone();
        busy.spawn(async move {
            loop {
                ask(&database, "SELECT 1").await;
            }
        });
    }
    sleep(Duration::from_millis(100)).await;
    for _ in 0..20 {
        let transaction = timeout(Duration::from_secs(1), database::begin(&database)).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
    }
    busy.shutdown().await;
    let whole = timeout(Duration::from_secs(1), database.connection().begin()).await;
    whole.unwrap().unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn waiting_statements_are_given_what_others_give_back() {
    let Some((database, _postgres)) = pool_of(1).await else { return };
    let began = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..50 {
        let database = database.clone();
        all.spawn(async move { ask(&database, "SELECT 1").await });
    }
    all.join_all().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_not_awaited_or_has_failed_is_given_back_and_checked() {
    let Some((database, _postgres)) = pool_of(1).await else { return };
    let sleeping = ask(&database, "SELECT 1 FROM pg_sleep(0.3)");
    assert!(timeout(Duration::from_millis(50), sleeping).await.is_err());
    assert_eq!(ask(&database, "SELECT 2").await, 2, "not the answer to what was not awaited");

    let failing = Statement::from_string(DbBackend::Postgres, "SELECT 1 / 0");
    database.query_one_raw(failing).await.unwrap_err();
    until(SOON, "the pool has it back", async || idle(&database) == 1).await;
    assert_eq!(ask(&database, "SELECT 3").await, 3);
    // In doubt now: each connection is checked before it is used.
    until(SOON, "it is given back at once", async || idle(&database) == 1).await;
}

#[tokio::test]
async fn a_kept_connection_that_was_ended_costs_one_statement_at_most() {
    let Some((database, postgres)) = pool_of(1).await else { return };
    let pid = ask(&database, PID).await;
    let end = format!("SELECT pg_terminate_backend({pid})::int");
    let other = database::connect(&postgres.url.parse().unwrap(), SCHEMA).await.unwrap();
    assert_eq!(ask(&other, &end).await, 1);
    // The one that finds out may fail.
    let _ = database.query_one_raw(Statement::from_string(DbBackend::Postgres, PID)).await;
    assert_ne!(ask(&database, PID).await, pid);
}
