//! The publisher beside databases as they really are: behind poolers, and demoted while its connections live.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{net::SocketAddr, time::Duration};

use outbox_controller::{Config, DatabaseConfig, OutboxConfig, OutboxController};
use sea_orm::ConnectionTrait as _;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use shop_messaging::in_process::InProcessBroker;
use shop_outbox::NewMessage;
use shop_runtime::{
    Bus, Lifecycle, Scope, Service as _,
    database::{self, Database},
};
use shop_testing::{
    Proxy,
    servers::{Durability, PoolMode},
};
use tokio::time::Instant;
use uuid::Uuid;

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        shop_outbox::migration::migrations()
    }
}

async fn writer(url: &str) -> Database {
    let database = database::connect(&url.parse().unwrap(), "orders").await.unwrap();
    database::migrate::<Migrator>(&database).await.unwrap();
    database
}

async fn append(database: &Database) -> Result<(), sea_orm::DbErr> {
    let event = NewMessage {
        id: Uuid::new_v4(),
        aggregate_type: "order".to_owned(),
        aggregate_id: Uuid::new_v4().to_string(),
        aggregate_version: 1,
        event_type: "order_created".to_owned(),
        routing_key: "order.created".to_owned(),
        payload: "{}".to_owned(),
        headers: Default::default(),
        created_at: chrono::DateTime::UNIX_EPOCH,
    };
    let event = &event;
    let appended = database.transaction(|transaction| async move {
        shop_outbox::append(&transaction, event).await?;
        transaction.commit().await
    });
    appended.await
}

/// Waits until so many rows are sent.
async fn until_sent(database: &Database, count: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let sent = "SELECT count(*) AS n FROM outbox_messages WHERE status = 'sent'";
    let sent = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sent);
    loop {
        let row = database.query_one_raw(sent.clone()).await.unwrap().unwrap();
        if row.try_get::<i64>("", "n").unwrap() == count {
            return;
        }
        assert!(Instant::now() < deadline, "{count} events were not sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn publish(url: &str, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
    let database = DatabaseConfig { database_url: url.parse().unwrap(), schema: "orders".to_owned() };
    let mut outbox = OutboxConfig::embedded("orders", "order_service", database);
    // So long that only a notification explains an event that is sent at once.
    outbox.poll_interval_ms = 10_000;
    let config = Config::embedded(SocketAddr::from(([127, 0, 0, 1], 0)), outbox, Vec::new());
    let bus = Bus::of_process(InProcessBroker::default().into());
    OutboxController::start(config, Scope { bus, ..Scope::new(OutboxController::NAME, lifecycle) }).await
}

async fn status(address: SocketAddr) -> u16 {
    let client = shop_runtime::client::client().unwrap();
    client.get(format!("http://{address}/readyz")).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_the_publisher_finds_the_outbox_and_is_woken() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, PoolMode::Session).await else {
        return;
    };
    let database = writer(&postgres.url).await;
    let lifecycle = Lifecycle::new();
    publish(&pooler.url, &lifecycle).await.unwrap();
    append(&database).await.unwrap();
    until_sent(&database, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    append(&database).await.unwrap();
    until_sent(&database, 2).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    lifecycle.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_refused_in_words() {
    let Some(postgres) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(pooler) = shop_testing::private_pgbouncer(&postgres.url, PoolMode::Transaction).await else {
        return;
    };
    let refused = publish(&pooler.url, &Lifecycle::new()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("set pool_mode = session"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_publisher_moves_on_though_its_connections_live() {
    let Some(old) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let Some(new) = shop_testing::private_postgres(Durability::Fast).await else { return };
    let proxy = Proxy::to(&old.url).await;
    let (before, after) = (writer(&old.url).await, writer(&new.url).await);
    let lifecycle = Lifecycle::new();
    let address = publish(proxy.url(), &lifecycle).await.unwrap();
    append(&before).await.unwrap();
    until_sent(&before, 1).await;
    for demote in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        before.execute_unprepared(demote).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while status(address).await == 200 {
        assert!(Instant::now() < deadline, "it is ready on a server that takes no writes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    proxy.switch_to(&new.url);
    append(&after).await.unwrap();
    until_sent(&after, 1).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while status(address).await != 200 {
        assert!(Instant::now() < deadline, "it is ready again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lifecycle.stop();
}
