//! An outbox with a database of its own, writers that use it, and a queue that sees what arrives.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    TransactionTrait as _,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use shop_messaging::{
    Broker, Delivery, EventLog, Failure, HeaderValue, PublisherOptions, Subscription,
    in_process::InProcessBroker,
};
use shop_outbox::{NewMessage, Options, OutboxMetrics, Publisher, Store, Tenure};
use shop_testing::{TestBroker, TestDatabase};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const EXCHANGE: &str = "events";
const PROBE: &str = "probe";

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = shop_outbox::migration::migrations();
        migrations.extend(shop_outbox::migration::inbox_migrations());
        migrations
    }
}

/// A database with an empty outbox, and a broker with an exchange.
pub(crate) struct Fixture {
    pub(crate) database: DatabaseConnection,
    pub(crate) broker: Broker,
    url: String,
    _guards: (Option<TestDatabase>, Option<TestBroker>, Option<tempfile::TempDir>),
}

impl Fixture {
    /// SQLite and the broker inside the process.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("outbox.db").display());
        let broker = Broker::from(InProcessBroker::default());
        Self::new(url, broker, (None, None, Some(folder))).await
    }

    /// PostgreSQL and RabbitMQ; `None` when they cannot be had.
    pub(crate) async fn real() -> Option<Self> {
        let database = shop_testing::postgres().await?;
        let broker = shop_testing::rabbitmq().await?;
        let bus = Broker::open(&broker.url, None).unwrap();
        Some(Self::new(database.url.clone(), bus, (Some(database), Some(broker), None)).await)
    }

    /// PostgreSQL, and a broker of the caller's.
    pub(crate) async fn with_broker(url: &str) -> Option<Self> {
        let database = shop_testing::postgres().await?;
        Some(
            Self::new(database.url.clone(), Broker::open(url, None).unwrap(), (Some(database), None, None))
                .await,
        )
    }

    /// A database and a broker of the caller's.
    pub(crate) async fn on(database: &str, broker: &str) -> Self {
        Self::new(database.to_owned(), Broker::open(broker, None).unwrap(), (None, None, None)).await
    }

    async fn new(
        url: String,
        broker: Broker,
        guards: (Option<TestDatabase>, Option<TestBroker>, Option<tempfile::TempDir>),
    ) -> Self {
        let database = connect(&url).await;
        Migrator::up(&database, None).await.unwrap();
        Self { database, broker, url, _guards: guards }
    }

    /// The outbox as a publisher or an operator opens it: with a pool of its own.
    pub(crate) async fn store(&self) -> Store {
        Store::connect(&self.url, "publisher").await.unwrap()
    }

    /// A pool of a writer's, to the same database.
    pub(crate) async fn another_connection(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    pub(crate) fn options(name: &str) -> Options {
        let mut options = Options::new(name, "tests");
        options.poll_interval = Duration::from_millis(20);
        options.lease = Duration::from_secs(5);
        options.publish_deadline = Duration::from_secs(4);
        options.retry.first = Duration::from_millis(50);
        options.retry.longest = Duration::from_millis(100);
        options.retry.max_attempts = 3;
        options
    }

    pub(crate) fn transport(event_log: bool) -> PublisherOptions {
        PublisherOptions {
            event_log: event_log.then(|| EventLog::new("events.log")),
            fence: Some("events.publisher".to_owned()),
            ..PublisherOptions::new(EXCHANGE, "tests")
        }
    }

    pub(crate) async fn publisher(&self, options: Options) -> Publisher {
        let store = self.store().await;
        Publisher::new(store, self.broker.publisher(Self::transport(true)), options, OutboxMetrics::default())
    }

    pub(crate) async fn run(&self, options: Options) -> Running {
        Running::start(self.publisher(options).await)
    }

    /// Runs a publisher that sees another broker, or the same in another way.
    pub(crate) async fn run_through(
        &self,
        broker: &Broker,
        transport: PublisherOptions,
        options: Options,
    ) -> Running {
        let store = self.store().await;
        Running::start(Publisher::new(store, broker.publisher(transport), options, OutboxMetrics::default()))
    }

    /// A queue for everything under `pattern`, from now on.
    pub(crate) async fn queue(&self, name: &str, pattern: &str) -> Arrivals {
        let arrivals = Arrivals::default();
        let (seen, stop) = (arrivals.seen.clone(), arrivals.stop.clone());
        let bound = CancellationToken::new();
        let is_bound = bound.clone();
        let handler = move |delivery: Delivery| {
            if delivery.message.kind == PROBE {
                is_bound.cancel();
            } else {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival::from(delivery));
            }
            async { Ok::<_, Failure>(()) }
        };
        let mut subscription = Subscription::new(EXCHANGE, name, [pattern]);
        subscription.concurrency = 1;
        let broker = self.broker.clone();
        let task = tokio::task::spawn(async move { broker.consume(subscription, handler, stop).await });
        *arrivals.task.lock().unwrap() = Some(task);
        self.probe_until(&bound).await;
        arrivals
    }

    /// Publishes probes until one has come through: from then on the queue is bound.
    async fn probe_until(&self, bound: &CancellationToken) {
        let mut publisher = self.broker.publisher(PublisherOptions::new(EXCHANGE, "probe"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !bound.is_cancelled() {
            assert!(Instant::now() < deadline, "the queue was not bound");
            let probe = shop_messaging::Message {
                id: Uuid::new_v4(),
                kind: PROBE.to_owned(),
                routing_key: "thing.probe".to_owned(),
                app_id: "tests".to_owned(),
                timestamp: DateTime::UNIX_EPOCH,
                headers: Default::default(),
                payload: "{}".into(),
            };
            let _ = publisher.publish(&[probe], Duration::from_secs(5)).await;
            let _ = tokio::time::timeout(Duration::from_millis(50), bound.cancelled()).await;
        }
        publisher.close().await;
    }

    /// Appends an event of `aggregate` in a transaction of its own.
    pub(crate) async fn append(&self, aggregate: &str, version: i64) -> Uuid {
        self.try_append(aggregate, version).await.unwrap()
    }

    pub(crate) async fn try_append(&self, aggregate: &str, version: i64) -> Result<Uuid, DbErr> {
        let transaction = self.database.begin().await?;
        let message = message(aggregate, version, "thing.changed");
        shop_outbox::append(&transaction, &message).await?;
        transaction.commit().await?;
        Ok(message.id)
    }

    /// `(status, attempts)` of every row, oldest first.
    pub(crate) async fn rows(&self) -> Vec<(String, i32)> {
        let all = "SELECT status, attempts FROM outbox_messages ORDER BY id";
        let rows = self.database.query_all_raw(Statement::from_string(self.backend(), all)).await.unwrap();
        rows.iter()
            .map(|row| (row.try_get("", "status").unwrap(), row.try_get("", "attempts").unwrap()))
            .collect()
    }

    pub(crate) async fn count(&self, status: &str) -> usize {
        self.rows().await.iter().filter(|(found, _)| found == status).count()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute_unprepared(sql).await.unwrap();
    }

    /// The number that `sql` answers with (PostgreSQL).
    pub(crate) async fn number(&self, sql: &str) -> usize {
        let row = self.database.query_one_raw(Statement::from_string(self.backend(), sql)).await.unwrap();
        row.unwrap().try_get_by_index::<i64>(0).unwrap().try_into().unwrap()
    }

    /// Waits until `sql` answers with `number`.
    pub(crate) async fn until_number(&self, sql: &str, number: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.number(sql).await != number {
            assert!(Instant::now() < deadline, "not {number}, but {}: {sql}", self.number(sql).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.database.get_database_backend()
    }

    /// Waits until `count` rows are `status`.
    pub(crate) async fn until(&self, status: &str, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.count(status).await != count {
            assert!(Instant::now() < deadline, "{count} × {status} did not come: {:?}", self.rows().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(if url.starts_with("sqlite") { 1 } else { 5 })
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(5))
        });
    Database::connect(options).await.unwrap()
}

pub(crate) fn message(aggregate: &str, version: i64, routing_key: &str) -> NewMessage {
    NewMessage {
        id: Uuid::new_v4(),
        aggregate_type: "thing".to_owned(),
        aggregate_id: aggregate.to_owned(),
        aggregate_version: version,
        event_type: "thing_changed".to_owned(),
        routing_key: routing_key.to_owned(),
        payload: format!(r#"{{"aggregate":"{aggregate}","version":{version},"amount":2500.00}}"#),
        headers: Default::default(),
        created_at: DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap(),
    }
}

/// A publisher at work. Dropped without [`Running::stop`], it is a crash: nothing is flushed or given back.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    pub(crate) progress: tokio::sync::watch::Receiver<shop_outbox::Progress>,
}

impl Running {
    pub(crate) fn start(publisher: Publisher) -> Self {
        let (stop, progress) = (CancellationToken::new(), publisher.progress());
        let task = tokio::task::spawn(publisher.run(stop.clone()));
        Self { stop, task, progress }
    }

    /// One that somebody else has elected for `tenure`.
    pub(crate) fn elected(mut publisher: Publisher, tenure: Tenure) -> Self {
        let (stop, progress) = (CancellationToken::new(), publisher.progress());
        let stopped = stop.clone();
        let task = tokio::task::spawn(async move { publisher.run_for(&tenure, &stopped).await });
        Self { stop, task, progress }
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(mut self) {
        tokio::time::timeout(Duration::from_secs(10), &mut self.task).await.unwrap().unwrap();
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }

    pub(crate) async fn leading(&mut self) {
        let leading = self.progress.wait_for(|progress| progress.leading);
        tokio::time::timeout(Duration::from_secs(10), leading).await.unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) id: Uuid,
    pub(crate) aggregate: String,
    pub(crate) version: i64,
    pub(crate) message: shop_messaging::Message,
}

impl From<Delivery> for Arrival {
    fn from(delivery: Delivery) -> Self {
        let header = |name: &str| delivery.message.headers.get(name).cloned();
        let text = |value: Option<HeaderValue>| value.and_then(|value| value.as_text().map(str::to_owned));
        let Some(HeaderValue::Number(version)) = header("aggregate_version") else {
            panic!("no aggregate_version")
        };
        Self {
            id: delivery.message.id,
            aggregate: text(header("aggregate_id")).unwrap(),
            version,
            message: delivery.message,
        }
    }
}

/// What a queue has seen.
#[derive(Default)]
pub(crate) struct Arrivals {
    seen: Arc<Mutex<Vec<Arrival>>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Arrivals {
    pub(crate) fn all(&self) -> Vec<Arrival> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `count` different messages have arrived; answers all.
    pub(crate) async fn until(&self, count: usize) -> Vec<Arrival> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.distinct() < count {
            assert!(Instant::now() < deadline, "only {} of {count} arrived", self.distinct());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.all()
    }

    /// How many different messages arrived.
    pub(crate) fn distinct(&self) -> usize {
        self.all().iter().map(|arrival| arrival.id).collect::<std::collections::HashSet<Uuid>>().len()
    }

    /// How many messages arrived more than once.
    pub(crate) fn duplicates(&self) -> usize {
        self.all().len() - self.distinct()
    }

    /// Panics when an event of an aggregate was first seen after a later one of the same aggregate.
    pub(crate) fn assert_ordered(&self) {
        let mut last = std::collections::HashMap::new();
        let mut seen = std::collections::HashSet::new();
        for arrival in self.all() {
            if seen.insert(arrival.id) {
                let before = last.insert(arrival.aggregate.clone(), arrival.version);
                assert!(before.is_none_or(|before| before < arrival.version), "{arrival:?} after {before:?}");
            }
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}
