//! A team that uses sqlx alone: its tables, its writers, its consumers and its publisher, without sea-orm.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic; clippy knows only `#[test]` functions")]
#![expect(clippy::disallowed_methods, reason = "a test ends its own tasks")]

use std::{path::Path, time::Duration};

use chrono::DateTime;
use shop_messaging::{
    Broker, Delivery, Failure, Message, PublisherOptions, Subscription, in_process::InProcessBroker,
};
use shop_outbox::{
    NewMessage, Options, OutboxMetrics, Pool, Publisher, RowFilter, RowStatus, SESSION, SqlxConnection,
    Store, Transaction, append_sqlx,
    consumer::{self, Consumer, Database, Effect, Handler, Received},
    inbox::{self, Receipt},
    migration, tune,
};
use shop_testing::TestDatabase;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A PostgreSQL with the tables of the outbox and of the inbox; `None` when there is none to be had.
async fn postgres() -> Option<(Pool, TestDatabase)> {
    let database = shop_testing::postgres().await?;
    Some((with_tables(&database.url).await, database))
}

/// The same in a file.
async fn sqlite(folder: &Path) -> Pool {
    with_tables(&url(folder)).await
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("outbox.db").display())
}

async fn with_tables(url: &str) -> Pool {
    let pool = Pool::connect(url).await.unwrap();
    for _ in 0..2 {
        migration::apply(&pool).await.unwrap();
        migration::apply_inbox(&pool).await.unwrap();
    }
    pool
}

fn event(version: i64) -> NewMessage {
    NewMessage {
        id: Uuid::new_v4(),
        aggregate_type: "thing".to_owned(),
        aggregate_id: "a".to_owned(),
        aggregate_version: version,
        event_type: "thing_changed".to_owned(),
        routing_key: "thing.changed".to_owned(),
        payload: format!(r#"{{"version":{version}}}"#),
        headers: Default::default(),
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// Appends with `connection`, and has a publisher carry it to a queue.
async fn publishes(pool: Pool, append: impl AsyncFn(&NewMessage)) {
    let broker = Broker::from(InProcessBroker::default());
    let subscription = Subscription::new("events", "all", ["#"]);
    broker.declare(&subscription).await.unwrap();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let handler = move |delivery: Delivery| {
        arrived.send(delivery.message).unwrap();
        async { Ok::<_, Failure>(()) }
    };
    let stop = CancellationToken::new();
    let consuming = tokio::task::spawn({
        let (broker, stop) = (broker.clone(), stop.clone());
        async move { broker.consume(subscription, handler, stop).await }
    });
    let store = Store::new(pool, "publisher");
    let mut options = Options::new("one", "tests");
    options.poll_interval = Duration::from_millis(20);
    let transport = broker.publisher(PublisherOptions::new("events", "tests"));
    let publisher = Publisher::new(store.clone(), transport, options, OutboxMetrics::default());
    let publishing = tokio::task::spawn(publisher.run(stop.clone()));

    let events = [event(1), event(2)];
    for event in &events {
        append(event).await;
    }
    for event in &events {
        let message = tokio::time::timeout(Duration::from_secs(20), arrivals.recv()).await.unwrap().unwrap();
        assert_eq!((message.id, message.payload.as_ref()), (event.id, event.payload.as_bytes()));
    }
    stop.cancel();
    publishing.await.unwrap();
    consuming.await.unwrap();
    let sent = RowFilter { status: RowStatus::Sent, ..RowFilter::default() };
    let sent: Vec<Uuid> = store.list(&sent).await.unwrap().iter().map(|row| row.message_id).collect();
    assert_eq!(sent, events.map(|event| event.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_in_a_transaction_on_postgresql_is_published() {
    let Some((pool, database)) = postgres().await else { return };
    let writer = PgPool::connect(&database.url).await.unwrap();
    let append = async |event: &NewMessage| {
        let mut transaction = writer.begin().await.unwrap();
        append_sqlx(&mut *transaction, event).await.unwrap();
        transaction.commit().await.unwrap();
    };
    publishes(pool, append).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_in_a_transaction_on_sqlite_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(folder.path()).await;
    let writer = SqlitePool::connect(&url(folder.path())).await.unwrap();
    let append = async |event: &NewMessage| {
        let mut transaction = writer.begin().await.unwrap();
        append_sqlx(&mut transaction, event).await.unwrap();
        transaction.commit().await.unwrap();
    };
    publishes(pool, append).await;
}

/// What a consumer does, whichever transaction it is given.
async fn handle<T: Transaction>(
    mut transaction: T,
    message: Uuid,
    effect: &NewMessage,
    keep: bool,
) -> Receipt {
    let receipt = transaction.receive("consumer", message).await.unwrap();
    if receipt == Receipt::New {
        transaction.append(effect).await.unwrap();
    }
    let ended = if keep { transaction.commit().await } else { transaction.rollback().await };
    ended.unwrap();
    receipt
}

/// The effect of a message is there once, however often it arrives.
async fn takes_effect_once(pool: Pool, deliver: impl AsyncFn(Uuid, bool) -> Receipt) {
    let message = Uuid::new_v4();
    assert_eq!(deliver(message, false).await, Receipt::New, "it is rolled back");
    assert_eq!(deliver(message, true).await, Receipt::New);
    assert_eq!(deliver(message, true).await, Receipt::Duplicate);
    let store = Store::new(pool.clone(), "publisher");
    assert_eq!(store.stats().await.unwrap().pending, 1);

    assert_eq!(inbox::forget_sqlx(&pool, Duration::from_secs(60), 10).await.unwrap(), 0, "it is young");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(inbox::forget_sqlx(&pool, Duration::from_millis(1), 10).await.unwrap(), 1);
    assert_eq!(deliver(message, true).await, Receipt::New, "it is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_takes_effect_once_on_postgresql() {
    let Some((pool, database)) = postgres().await else { return };
    let consumer = PgPool::connect(&database.url).await.unwrap();
    let deliver =
        async |message, keep| handle(consumer.begin().await.unwrap(), message, &event(1), keep).await;
    takes_effect_once(pool, deliver).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_takes_effect_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(folder.path()).await;
    let consumer = SqlitePool::connect(&url(folder.path())).await.unwrap();
    let deliver =
        async |message, keep| handle(consumer.begin().await.unwrap(), message, &event(1), keep).await;
    takes_effect_once(pool, deliver).await;
}

async fn setting(connection: &mut sqlx::PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_session_of_the_stores_own_pool_has_its_settings() {
    let Some((Pool::Postgres(pool), database)) = postgres().await else { return };
    // More than one, so that it is not only the first that has them.
    let (mut one, mut other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut own = PgPool::connect(&database.url).await.unwrap().acquire().await.unwrap();
    for (name, value) in SESSION {
        assert_eq!(setting(&mut one, name).await, value, "{name}");
        assert_eq!(setting(&mut other, name).await, value, "{name}");
        assert_ne!(setting(&mut own, name).await, value, "{name}: it would show nothing");
    }
    tune(&mut own).await.unwrap();
    for (name, value) in SESSION {
        assert_eq!(setting(&mut own, name).await, value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_tables_is_told_from_one_that_fails_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let mut databases = vec![(url(folder.path()), None)];
    if let Some(database) = shop_testing::postgres().await {
        databases.push((database.url.clone(), Some(database)));
    }
    for (url, _guard) in &databases {
        let store = Store::connect(url, "publisher").await.unwrap();
        let missing = store.stats().await.unwrap_err();
        assert!(missing.is_missing_table(), "{missing}");
        let mut message = event(1);
        message.payload = "no JSON".to_owned();
        with_tables(url).await;
        let pool = Pool::connect(url).await.unwrap();
        let mut connection = match &pool {
            Pool::Postgres(pool) => Either::Postgres(pool.acquire().await.unwrap()),
            Pool::Sqlite(pool) => Either::Sqlite(pool.acquire().await.unwrap()),
            other => panic!("{other:?}"),
        };
        let refused = append_sqlx(connection.sqlx(), &message).await.unwrap_err();
        assert!(!shop_outbox::StoreError::from(refused).is_missing_table());
    }
}

enum Either {
    Postgres(sqlx::pool::PoolConnection<Postgres>),
    Sqlite(sqlx::pool::PoolConnection<Sqlite>),
}

impl Either {
    fn sqlx(&mut self) -> SqlxConnection<'_> {
        match self {
            Self::Postgres(connection) => connection.into(),
            Self::Sqlite(connection) => connection.into(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_made_the_pool_is_shown_each_statement_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (shown, mut seen) = mpsc::unbounded_channel();
    let store = Store::connect(&url(folder.path()), "publisher")
        .await
        .unwrap()
        .noticing(move |error| shown.send(error.is_missing_table()).unwrap());
    store.stats().await.unwrap_err();
    assert_eq!(seen.try_recv(), Ok(true));
    migration::apply(&Pool::connect(&url(folder.path())).await.unwrap()).await.unwrap();
    store.stats().await.unwrap();
    assert!(seen.try_recv().is_err(), "nothing failed");
}

/// Keeps what it is told, and announces it, in the transaction of the inbox.
struct Keep;

macro_rules! keeps {
    ($database:ty) => {
        impl Handler<sqlx::Transaction<'static, $database>> for Keep {
            type Event = serde_json::Value;
            const EVENT_TYPE: &'static str = "thing_changed";
            const ROUTING_KEY: &'static str = "thing.changed";

            async fn handle(
                &self,
                transaction: &mut sqlx::Transaction<'static, $database>,
                received: Received<serde_json::Value>,
            ) -> Result<Effect, Failure> {
                let insert = sqlx::query("INSERT INTO effects (version) VALUES ($1)");
                let insert = insert.bind(received.payload["version"].as_i64());
                insert.execute(&mut **transaction).await.map_err(Failure::retry)?;
                if received.attempt == 1 {
                    Err(Failure::retry("once more"))
                } else {
                    Ok(Effect::done().announcing(event(2)))
                }
            }
        }
    };
}

keeps!(Postgres);
keeps!(Sqlite);

/// Of one message, delivered twice and failing once, one effect and one event are kept.
async fn consumes<D: Database>(database: D, pool: Pool, effects: impl AsyncFn() -> i64)
where
    Keep: Handler<D::Transaction>,
{
    let broker = Broker::from(InProcessBroker::default());
    let subscription = Subscription { ordered: true, ..Subscription::new("events", "keeper", ["thing.*"]) };
    broker.declare(&subscription).await.unwrap();
    let NewMessage { id, event_type: kind, routing_key, payload, headers, created_at: timestamp, .. } =
        event(1);
    let app_id = "tests".to_owned();
    let message = Message { id, kind, routing_key, app_id, timestamp, headers, payload: payload.into() };
    let mut publisher = broker.publisher(PublisherOptions::new("events", "tests"));
    publisher.publish(&[message.clone(), message], Duration::from_secs(5)).await.unwrap();

    let consumer =
        Consumer::new(broker, database, subscription, consumer::Options::default()).on(Keep).unwrap();
    let (mut progress, stop) = (consumer.progress(), CancellationToken::new());
    let consuming = tokio::task::spawn(consumer.run(stop.clone()));
    let handled = progress.wait_for(|progress| progress.last_handled.is_some());
    tokio::time::timeout(Duration::from_secs(20), handled).await.unwrap().unwrap();
    stop.cancel();
    consuming.await.unwrap();
    assert_eq!(effects().await, 1);
    let pending = RowFilter { status: RowStatus::Pending, ..RowFilter::default() };
    assert_eq!(Store::new(pool, "publisher").list(&pending).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_on_postgresql_writes_in_a_transaction_of_sqlx() {
    let Some((pool, _database)) = postgres().await else { return };
    let Pool::Postgres(database) = pool.clone() else { panic!("it is a PostgreSQL") };
    sqlx::query("CREATE TABLE effects (version bigint)").execute(&database).await.unwrap();
    let count =
        async || sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(&database).await.unwrap();
    consumes(database.clone(), pool, count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_in_a_file_writes_in_a_transaction_of_sqlx() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(folder.path()).await;
    let Pool::Sqlite(database) = pool.clone() else { panic!("it is a file") };
    sqlx::query("CREATE TABLE effects (version bigint)").execute(&database).await.unwrap();
    let count =
        async || sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(&database).await.unwrap();
    consumes(database.clone(), pool, count).await;
}
