use std::{
    collections::{HashMap, HashSet},
    process::Command,
    time::{Duration, Instant},
};

use lapin::{message::Delivery, types::AMQPValue};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use shop_testing::{TestBroker, TestDatabase};
use tempfile::TempDir;

use super::{
    Tap,
    process::{Process, free_address},
};

/// Long enough for a loaded machine, short enough to fail before the test runner does.
const PATIENCE: Duration = Duration::from_secs(60);

/// An outbox without a shop: rows come from SQL, a queue records what arrives, and publishers are processes.
pub(crate) struct Outbox {
    pub(crate) database: DatabaseConnection,
    pub(crate) tap: Tap,
    pub(crate) postgres: Postgres,
    pub(crate) rabbitmq: TestBroker,
    pub(super) folder: TempDir,
    rows: std::cell::Cell<usize>,
}

/// The outbox's database.
pub(crate) struct Postgres {
    pub(crate) url: String,
    _database: Option<TestDatabase>,
}

/// The most that one publisher may have sent and not marked.
pub(crate) const BATCH_SIZE: usize = 100;

impl Outbox {
    /// Creates an empty one; `None` if a backend is not available.
    pub(crate) async fn take() -> Option<Self> {
        let database = shop_testing::postgres().await?;
        Self::on(Postgres { url: database.url.clone(), _database: Some(database) }).await
    }

    /// Creates an empty one on a private server.
    pub(crate) async fn at(url: &str) -> Option<Self> {
        Self::on(Postgres { url: url.to_owned(), _database: None }).await
    }

    async fn on(postgres: Postgres) -> Option<Self> {
        let rabbitmq = shop_testing::rabbitmq().await?;
        let folder = tempfile::tempdir().unwrap();
        let binaries = std::env::var_os("SHOP_TEST_BIN_DIR").expect("run `cargo xtask test`");
        let mut migrate = Command::new(std::path::Path::new(&binaries).join("order"));
        migrate.arg("migrate").env_clear().envs([
            ("ORDER_DATABASE_URL", postgres.url.as_str()),
            ("ORDER_CATALOG_URL", "http://127.0.0.1:1"),
            ("ORDER_RABBITMQ_URL", rabbitmq.url.as_str()),
            ("AUTH_JWT_SECRET", "a secret for the tests that is at least as long as HS256 wants it"),
        ]);
        let migrated = migrate.current_dir(folder.path()).output().unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        let mut options = ConnectOptions::new(&postgres.url);
        options.max_connections(5).sqlx_logging(false).set_schema_search_path("orders");
        let database = Database::connect(options).await.unwrap();
        let tap = Tap::bind(&rabbitmq.url, "#").await;
        Some(Self { database, tap, postgres, rabbitmq, folder, rows: std::cell::Cell::new(0) })
    }

    /// Appends `count` rows in one transaction, distributed over `aggregates` aggregates.
    pub(crate) async fn append(&self, count: usize, aggregates: usize) {
        let first = self.rows.get() + 1;
        let last = self.rows.get() + count;
        self.rows.set(last);
        self.execute(&format!(
            "INSERT INTO outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, event_type,
                                          routing_key, payload, headers, created_at)
             SELECT gen_random_uuid(), 'thing', n % {aggregates}, n, 'thing_changed', 'thing.changed',
                    json_build_object('number', n, 'padding', repeat('x', 1000)), '{{}}', clock_timestamp()
             FROM generate_series({first}, {last}) AS n ORDER BY n"
        ))
        .await;
    }

    /// How many rows were appended.
    pub(crate) fn rows(&self) -> usize {
        self.rows.get()
    }

    /// Starts a publisher, which leads or waits; `environment` comes last, and so takes precedence.
    pub(crate) async fn publisher(&self, environment: &[(&str, &str)]) -> Process {
        let address = free_address();
        let (listen, batch_size) = (address.to_string(), BATCH_SIZE.to_string());
        let mut all = vec![
            ("OUTBOX_LISTEN", listen.as_str()),
            ("OUTBOX_LEASE_SECONDS", "3"),
            ("OUTBOX_BATCH_SIZE", &batch_size),
            ("OUTBOX_EVENT_LOG", "none"),
            ("OUTBOX_DATABASE_URL", &self.postgres.url),
            ("OUTBOX_RABBITMQ_URL", &self.rabbitmq.url),
        ];
        all.extend(environment);
        Process::start("outbox-controller", self.folder.path(), address, &all).ready().await
    }

    /// Starts a publisher and waits until it leads, is connected, and has published a row.
    pub(crate) async fn leader(&self, environment: &[(&str, &str)]) -> Process {
        let publisher = self.publisher(environment).await;
        self.append(1, 1).await;
        self.until_sent(self.rows()).await;
        assert!(leads(&publisher).await, "who else");
        publisher
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute_unprepared(sql).await.unwrap();
    }

    /// The number that `sql` returns.
    pub(crate) async fn number(&self, sql: &str) -> usize {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.database.query_one_raw(statement).await.unwrap().unwrap();
        usize::try_from(row.try_get_by_index::<i64>(0).unwrap()).unwrap()
    }

    pub(crate) async fn sent(&self) -> usize {
        self.number("SELECT count(*) FROM outbox_messages WHERE status = 'sent'").await
    }

    pub(crate) async fn until_sent(&self, count: usize) {
        until("the rows are sent", async || self.sent().await >= count).await;
    }

    /// Waits until a publisher's mark waits for a lock.
    pub(crate) async fn until_a_mark_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'";
        until("a mark waits", async || self.number(waiting).await > 0).await;
    }

    /// Gives a waiting publisher the time to send everything that it may send before it has to wait.
    pub(crate) async fn until_nothing_comes(&self) {
        let (mut depth, mut since) = (0, Instant::now());
        while since.elapsed() < Duration::from_millis(300) {
            let now = self.tap.depth().await;
            if now != depth {
                (depth, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything that ever arrived. Nobody may be publishing.
    pub(crate) async fn arrivals(&self) -> Arrivals {
        Arrivals(self.tap.drain().await.iter().map(Arrival::from).collect())
    }

    /// Lets `publisher` publish the rest and stop gracefully; returns everything that ever arrived.
    pub(crate) async fn finish(&self, mut publisher: Process) -> Arrivals {
        self.until_sent(self.rows()).await;
        assert_eq!(publisher.terminate().await.code(), Some(0), "{}", publisher.log());
        self.arrivals().await
    }
}

/// Whether `publisher` reports that it leads.
pub(crate) async fn leads(publisher: &Process) -> bool {
    publisher.metric("outbox_is_leader").await > 0.0
}

/// Waits until `state` is true.
pub(crate) async fn until(what: &str, state: impl AsyncFn() -> bool) {
    until_within(PATIENCE, what, state).await;
}

/// The same for what takes longer than anything else.
pub(crate) async fn until_within(patience: Duration, what: &str, state: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + patience;
    while !state().await {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The messages in the queue, in order.
pub(crate) struct Arrivals(Vec<Arrival>);

struct Arrival {
    id: String,
    aggregate: String,
    version: i64,
}

impl From<&Delivery> for Arrival {
    fn from(delivery: &Delivery) -> Self {
        let headers = delivery.properties.headers().as_ref().unwrap().inner();
        let AMQPValue::LongString(aggregate) = &headers["aggregate_id"] else { panic!("no aggregate_id") };
        let AMQPValue::LongLongInt(version) = &headers["aggregate_version"] else { panic!("no version") };
        Self {
            id: delivery.properties.message_id().as_ref().unwrap().to_string(),
            aggregate: aggregate.to_string(),
            version: *version,
        }
    }
}

impl Arrivals {
    /// Every one of `rows` arrived, and the first arrivals of each aggregate are in order.
    pub(crate) fn assert_complete_and_ordered(&self, rows: usize) {
        let (mut seen, mut last) = (HashSet::new(), HashMap::new());
        for Arrival { id, aggregate, version } in &self.0 {
            if seen.insert(id) {
                let before = last.insert(aggregate, *version);
                assert!(
                    before.is_none_or(|before| before < *version),
                    "{version} of {aggregate} after {before:?}"
                );
            }
        }
        assert_eq!(seen.len(), rows, "nothing is lost");
    }

    /// How many messages are duplicates.
    pub(crate) fn duplicates(&self) -> usize {
        self.0.len() - self.0.iter().map(|arrival| &arrival.id).collect::<HashSet<_>>().len()
    }
}
