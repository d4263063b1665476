//! A PgBouncer configured like CloudNativePG's Pooler: it drops start-up `options`.

use std::time::Duration;

use shop_runtime::database;
use shop_testing::servers::{Durability, PoolMode};

use crate::support::{Migrator, SCHEMA, ids, insert, migrated, number, text, until};

#[tokio::test]
async fn behind_a_pooler_in_session_mode_everything_is_in_the_service_s_own_schema() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, PoolMode::Session).await else {
        return;
    };
    let database = migrated(&pooler.url, SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    assert_eq!(number(&postgres.url, "SELECT count(*) FROM things.things").await, 1);
    let elsewhere = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(&postgres.url, elsewhere).await, 0);
    for (setting, value) in [("statement_timeout", "10s"), ("lock_timeout", "5s")] {
        assert_eq!(text(&database, &format!("SHOW {setting}")).await.unwrap(), value);
    }
    database.check().await.unwrap();
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_in_words_by_services_and_tools() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    migrated(&postgres.url, SCHEMA).await;
    for mode in [PoolMode::Transaction, PoolMode::Statement] {
        let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, mode).await else { return };
        let url = pooler.url.parse().unwrap();
        let refused = database::connect(&url, SCHEMA).await.unwrap_err();
        assert!(format!("{refused:#}").contains("set pool_mode = session"), "{mode:?}: {refused:#}");
        let refused = database::attach(&url, SCHEMA).await.unwrap_err();
        assert!(format!("{refused:#}").contains("set pool_mode = session"), "{mode:?}: {refused:#}");
        let lazy = database::lazily(&url, SCHEMA).unwrap();
        assert!(insert(&lazy, 1, "").await.is_err(), "{mode:?}");
        let why = lazy.trouble().unwrap_or_default();
        assert!(why.contains("set pool_mode = session"), "{mode:?}: {why}");
        assert!(!lazy.has_vanished(), "{mode:?}");
    }
    assert_eq!(number(&postgres.url, "SELECT count(*) FROM things.things").await, 0);
}

#[tokio::test]
async fn other_clients_of_a_pooler_hide_its_mode_from_nobody() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, PoolMode::Transaction).await else {
        return;
    };
    let busy = (0..8).map(|_| {
        let url = pooler.url.clone();
        async move {
            let mut client = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
            loop {
                sqlx::raw_sql("SELECT 1").execute(&mut client).await.unwrap();
            }
        }
    });
    let busy = futures_util::future::join_all(busy);
    let looking = async {
        for _ in 0..5 {
            let refused = database::connect(&pooler.url.parse().unwrap(), SCHEMA).await.unwrap_err();
            assert!(format!("{refused:#}").contains("set pool_mode = session"), "{refused:#}");
        }
    };
    tokio::select! {
        _ = busy => {}
        () = looking => {}
    }
}

#[tokio::test]
async fn a_database_that_restarts_behind_a_pooler_is_used_again() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Durable).await else { return };
    let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, PoolMode::Session).await else {
        return;
    };
    let database = migrated(&pooler.url, SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    postgres.kill9().await;
    assert!(database.check().await.is_err());
    postgres.start().await;
    let back = async || insert(&database, 2, "").await.is_ok();
    until(Duration::from_secs(20), "a write", back).await;
    assert_eq!(ids(&database).await, [1, 2]);
    until(Duration::from_secs(5), "readiness", async || database.check().await.is_ok()).await;
    assert_eq!(text(&database, "SELECT current_schema()::text").await.unwrap(), SCHEMA);
}

#[tokio::test]
async fn without_a_pooler_nothing_is_mistaken_for_one() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let url = postgres.url.parse().unwrap();
    let opened = (0..6).map(|_| async {
        let database = database::connect(&url, SCHEMA).await.unwrap();
        database::migrate::<Migrator>(&database).await.unwrap();
    });
    futures_util::future::join_all(opened).await;
}
