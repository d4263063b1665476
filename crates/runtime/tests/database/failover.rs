//! Servers that change behind an address while connections are open.

use std::time::Duration;

use shop_runtime::database::{self, Failure};
use shop_testing::{Proxy, servers::Durability};
use tokio::time::Instant;

use crate::support::{SCHEMA, administer, ids, insert, migrated, number, until};

const DEMOTE: &str = "ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()";

#[tokio::test]
async fn a_demoted_server_is_left_at_once_though_its_connections_live() {
    let Some(old) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(new) = shop_testing::private_postgres(Durability::Fast).await else { return };
    drop(migrated(&new.url, SCHEMA).await);
    let proxy = Proxy::to(&old.url).await;
    let database = migrated(proxy.url(), SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    database.check().await.unwrap();

    administer(&old.url, DEMOTE).await;
    // The server's processes learn of it one by one.
    let mut taken = 1;
    let refused = loop {
        match insert(&database, 100 + taken, "").await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1000, "a demoted server goes on to be written to");
    };
    // Reported by the statement, or by the check of a connection that was idle for a moment.
    assert!(matches!(Failure::of(&refused), Failure::ReadOnly | Failure::Away), "{refused}");
    // A server that accepts no writes cannot be used.
    until(Duration::from_secs(5), "not ready", async || database.check().await.is_err()).await;
    let refused = insert(&database, 2, "").await.unwrap_err();
    assert_eq!(Failure::of(&refused), Failure::Away, "{refused}");
    assert!(refused.to_string().contains("takes no writes"), "{refused}");

    proxy.switch_to(&new.url);
    let took =
        until(Duration::from_secs(10), "a write", async || insert(&database, 3, "").await.is_ok()).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    until(Duration::from_secs(5), "ready", async || database.check().await.is_ok()).await;
    assert_eq!(ids(&database).await, [3]);
    assert_eq!(number(&old.url, "SELECT count(*) FROM things.things").await, taken);
}

#[tokio::test]
async fn connections_to_a_machine_that_never_answers_again_are_given_up() {
    let Some(old) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(new) = shop_testing::private_postgres(Durability::Fast).await else { return };
    drop(migrated(&new.url, SCHEMA).await);
    let proxy = Proxy::to(&old.url).await;
    let database = migrated(proxy.url(), SCHEMA).await;
    // All of the pool's connections, some of them in the middle of a statement.
    let all: Vec<_> = (0..10).map(|_| database::begin(&database)).collect();
    let all = futures_util::future::try_join_all(all).await.unwrap();
    old.freeze().await;
    for transaction in all {
        let _ = tokio::time::timeout(Duration::from_millis(20), insert(&transaction, 1, "")).await;
    }
    proxy.switch_to(&new.url);
    until(Duration::from_secs(15), "a write", async || insert(&database, 2, "").await.is_ok()).await;
    until(Duration::from_secs(5), "ready", async || database.check().await.is_ok()).await;
    old.thaw().await;
    assert_eq!(ids(&database).await, [2]);
}

#[tokio::test]
async fn an_address_that_is_replaced_is_used_from_then_on() {
    let Some(old) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(new) = shop_testing::private_postgres(Durability::Fast).await else { return };
    drop(migrated(&new.url, SCHEMA).await);
    let database = migrated(&old.url, SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    database.reconnect_to(&new.url.parse().unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    insert(&database, 2, "").await.unwrap();
    database.check().await.unwrap();
    assert_eq!(ids(&database).await, [2]);
}

#[tokio::test]
async fn a_deadlock_is_tried_again_inside() {
    let Some(postgres) = shop_testing::postgres().await else { return };
    let database = migrated(&postgres.url, SCHEMA).await;
    insert(&database, 1, "").await.unwrap();
    insert(&database, 2, "").await.unwrap();
    let change = async |first: i64, second: i64| {
        database
            .transaction(|transaction| async move {
                for id in [first, second] {
                    let change = format!("UPDATE things SET filler = filler || 'x' WHERE id = {id}");
                    sea_orm::ConnectionTrait::execute_unprepared(&transaction, &change).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                transaction.commit().await
            })
            .await
    };
    let began = Instant::now();
    let (one, other) = tokio::join!(change(1, 2), change(2, 1));
    one.unwrap();
    other.unwrap();
    assert!(began.elapsed() > Duration::from_secs(1), "there was no deadlock to be found");
    assert_eq!(number(&postgres.url, "SELECT count(*) FROM things.things WHERE filler = 'xx'").await, 2);
}
