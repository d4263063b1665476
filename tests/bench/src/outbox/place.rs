//! One outbox: a database with the shop's real schema, an exchange, and the released publisher between them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use shop_testing::{TestBroker, TestDatabase};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::process::Command;

use super::{
    broker::{Broker, payload},
    sizes::{BATCH_SIZE, PATIENCE},
};
use crate::process::{Process, free_address};

/// Small enough not to matter, and enough to make the publisher prepare its statements.
const WARM_UP: u32 = 2_000;
/// How long without work until the publisher sleeps.
const REST: Duration = Duration::from_millis(500);

/// Inserts a backlog: rows of distinct aggregates, in one statement.
const BACKLOG: &str = "INSERT INTO outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, payload, headers, created_at)
    SELECT gen_random_uuid(), 'order', gen_random_uuid()::text, 1, 'order_created', 'order.created', $2::json,
           '{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}', clock_timestamp()
    FROM generate_series(1, $1)";

/// Inserts rows as the publisher leaves them, with the payload of an order of two lines.
const SENT: &str = "INSERT INTO outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, payload, headers, status, created_at, sent_at)
    SELECT gen_random_uuid(), 'order', gen_random_uuid()::text, 1, 'order_created', 'order.created',
           json_build_object('order_id', n, 'customer_email', 'buyer@example.com', 'total_amount', 2500, 'currency', 'RUB'),
           '{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}', 'sent', clock_timestamp(), clock_timestamp()
    FROM generate_series(1, $1) AS n";
/// Rows per insert: a transaction takes seconds.
const CHUNK: u32 = 250_000;

/// An outbox. The publisher runs only while it is started.
pub(crate) struct Place {
    pub(crate) pool: PgPool,
    pub(crate) broker: Broker,
    pub(crate) database: TestDatabase,
    /// The publisher's environment, without its address.
    environment: Vec<(&'static str, String)>,
    binaries: PathBuf,
    folder: PathBuf,
    publisher: Option<Process>,
}

impl Place {
    /// Creates a database, and an exchange called `exchange` on `broker`.
    pub(crate) async fn open(
        binaries: &Path,
        folder: &Path,
        broker: &TestBroker,
        exchange: &str,
    ) -> anyhow::Result<Self> {
        let missing = "run `cargo xtask bench outbox`";
        let database = shop_testing::postgres().await.context(missing)?;
        migrate(binaries, &database.url, &broker.url).await?;
        let in_schema = format!("{}?options=-c%20search_path%3Dorders", database.url);
        let pool =
            PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(&in_schema).await?;
        let environment = vec![
            ("OUTBOX_DATABASE_URL", database.url.clone()),
            ("OUTBOX_RABBITMQ_URL", broker.url.clone()),
            ("OUTBOX_EXCHANGE", exchange.to_owned()),
            // One queue on both sides of each comparison.
            ("OUTBOX_EVENT_LOG", "none".to_owned()),
            ("OUTBOX_BATCH_SIZE", BATCH_SIZE.to_string()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", "info".to_owned()),
        ];
        Ok(Self {
            pool,
            broker: Broker::open(&broker.url, exchange).await?,
            database,
            environment,
            binaries: binaries.to_owned(),
            folder: folder.to_owned(),
            publisher: None,
        })
    }

    /// Starts the publisher, which is not yet warm.
    pub(crate) async fn start_publisher(&mut self) -> anyhow::Result<&Process> {
        let address = free_address()?;
        let listen = address.to_string();
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain([("OUTBOX_LISTEN", listen.as_str())])
            .collect();
        let binary = self.binaries.join("outbox-controller");
        let at = (address, "/readyz");
        let started =
            Process::start("outbox-controller", &binary, &[], &environment, at, &self.folder).await?;
        Ok(self.publisher.insert(started))
    }

    /// Starts the publisher and lets it publish something, so that it is connected and has prepared its statements.
    pub(crate) async fn start_warm_publisher(&mut self) -> anyhow::Result<()> {
        self.start_publisher().await?;
        self.drain(WARM_UP).await?;
        Ok(())
    }

    pub(crate) async fn stop_publisher(&mut self) -> anyhow::Result<()> {
        if let Some(publisher) = self.publisher.take() {
            publisher.stop().await?;
        }
        Ok(())
    }

    pub(crate) fn publisher(&self) -> anyhow::Result<&Process> {
        self.publisher.as_ref().context("no publisher was started")
    }

    /// Shows the running publisher `rows` rows at once, of 1 KB and of as many aggregates, and returns how many per second
    /// it publishes and marks.
    ///
    /// The insert is not measured: its transaction commits when the publisher is idle.
    pub(crate) async fn drain(&self, rows: u32) -> anyhow::Result<f64> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(BACKLOG).bind(i64::from(rows)).bind(payload()).execute(&mut *transaction).await?;
        let last: i64 =
            sqlx::query_scalar("SELECT max(id) FROM outbox_messages").fetch_one(&mut *transaction).await?;
        self.checkpoint().await?;
        tokio::time::sleep(REST).await;
        let started = Instant::now();
        transaction.commit().await?;
        // Rows are marked in the order of ids, so the last one shows that all are. Less than 200 per second counts as a failure.
        let deadline = started + PATIENCE + Duration::from_millis(5) * rows;
        let status = "SELECT status FROM outbox_messages WHERE id = $1";
        while sqlx::query_scalar::<_, String>(status).bind(last).fetch_one(&self.pool).await? != "sent" {
            ensure!(Instant::now() < deadline, "the backlog is not published in time");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let rate = f64::from(rows) / started.elapsed().as_secs_f64();
        self.broker.expect(rows).await?;
        Ok(rate)
    }

    /// Adds `rows` rows that were already sent.
    pub(crate) async fn add_sent(&self, rows: u32) -> anyhow::Result<()> {
        let mut left = rows;
        while left > 0 {
            let chunk = left.min(CHUNK);
            sqlx::query(SENT).bind(i64::from(chunk)).execute(&self.pool).await?;
            left -= chunk;
        }
        sqlx::query("VACUUM ANALYZE outbox_messages").execute(&self.pool).await?;
        Ok(())
    }

    /// Whether inserts look for a publisher to wake.
    pub(crate) async fn set_trigger(&self, enabled: bool) -> anyhow::Result<()> {
        let statement = if enabled {
            "ALTER TABLE outbox_messages ENABLE TRIGGER outbox_wake"
        } else {
            "ALTER TABLE outbox_messages DISABLE TRIGGER outbox_wake"
        };
        sqlx::query(statement).execute(&self.pool).await?;
        Ok(())
    }

    /// Empties the shop's tables.
    pub(crate) async fn empty(&self) -> anyhow::Result<()> {
        sqlx::query("TRUNCATE orders, order_items, order_timeline, outbox_messages")
            .execute(&self.pool)
            .await?;
        self.checkpoint().await
    }

    async fn checkpoint(&self) -> anyhow::Result<()> {
        sqlx::query("CHECKPOINT").execute(&self.pool).await?;
        Ok(())
    }

    /// Waits until every row is sent; returns their number.
    pub(crate) async fn all_sent(&self) -> anyhow::Result<u64> {
        let deadline = Instant::now() + 4 * PATIENCE;
        let pending = "SELECT EXISTS (SELECT FROM outbox_messages WHERE status = 'pending')";
        while sqlx::query_scalar(pending).fetch_one(&self.pool).await? {
            ensure!(Instant::now() < deadline, "not everything is published in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM outbox_messages").fetch_one(&self.pool).await?;
        Ok(u64::try_from(rows)?)
    }

    /// Opens a transaction that keeps its snapshot, as a dump does, until it is dropped.
    pub(crate) async fn old_snapshot(&self) -> anyhow::Result<PgConnection> {
        let mut connection = PgConnection::connect(&self.database.url).await?;
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ").execute(&mut connection).await?;
        sqlx::query("SELECT count(*) FROM pg_class").execute(&mut connection).await?;
        Ok(connection)
    }
}

/// The schema as `order_service` creates it.
pub(crate) async fn migrate(binaries: &Path, database_url: &str, rabbitmq_url: &str) -> anyhow::Result<()> {
    let mut command = Command::new(binaries.join("order"));
    command.arg("migrate").env_clear();
    command.env("ORDER_DATABASE_URL", database_url).env("ORDER_RABBITMQ_URL", rabbitmq_url);
    // Required, but not used here.
    command
        .env("ORDER_CATALOG_URL", "http://127.0.0.1:9")
        .env("AUTH_JWT_SECRET", "a secret for measurements, as long as HS256 wants it to be");
    let output = command.stdin(Stdio::null()).output().await.context("order migrate")?;
    ensure!(output.status.success(), "order migrate: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
