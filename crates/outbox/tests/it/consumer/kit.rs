//! A consumer that keeps what it was told in a table, and fails as a test wants.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use prometheus_client::{encoding::text::encode, registry::Registry};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, Statement};
use serde::Deserialize;
use shop_messaging::{Broker, Failure, Message, PublisherOptions, Subscription, Verdict};
use shop_outbox::consumer::{Consumer, Database, Effect, Handler, Options, Progress, Received};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{EXCHANGE, Fixture, message};

/// The payload of `support::message`; the amount is not read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Changed {
    pub(crate) aggregate: String,
    pub(crate) version: i64,
}

type Behaviour = Arc<dyn Fn(Received<Changed>) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// Writes what it is told into `effects`, and then does what the test wants.
#[derive(Clone)]
pub(crate) struct Keep {
    behaviour: Behaviour,
    announces: bool,
}

impl Keep {
    /// It keeps everything.
    pub(crate) fn all() -> Self {
        Self::after(|_| async { Ok(()) })
    }

    /// It keeps an event unless `behaviour`, which follows the write, fails.
    pub(crate) fn after<F: Future<Output = Result<(), Failure>> + Send + 'static>(
        behaviour: impl Fn(Received<Changed>) -> F + Send + Sync + 'static,
    ) -> Self {
        let boxed = move |event| -> BoxFuture<'static, _> { Box::pin(behaviour(event)) };
        Self { behaviour: Arc::new(boxed), announces: false }
    }

    /// With an event of its own for each that it keeps.
    pub(crate) fn announcing(self) -> Self {
        Self { announces: true, ..self }
    }

    pub(crate) async fn keep(
        &self,
        connection: &impl sea_orm::ConnectionTrait,
        event: Received<Changed>,
    ) -> Result<Effect, Failure> {
        let insert = "INSERT INTO effects (aggregate, version) VALUES ($1, $2)";
        let values = [event.payload.aggregate.as_str().into(), event.payload.version.into()];
        let insert = Statement::from_sql_and_values(connection.get_database_backend(), insert, values);
        connection.execute_raw(insert).await.map_err(Failure::retry)?;
        let announced = message(&event.payload.aggregate, event.payload.version, "thing.kept");
        (self.behaviour)(event).await?;
        Ok(if self.announces { Effect::done().announcing(announced) } else { Effect::done() })
    }
}

impl Handler<DatabaseTransaction> for Keep {
    type Event = Changed;
    const EVENT_TYPE: &'static str = "thing_changed";
    const ROUTING_KEY: &'static str = "thing.changed";

    async fn handle(
        &self,
        transaction: &mut DatabaseTransaction,
        event: Received<Changed>,
    ) -> Result<Effect, Failure> {
        self.keep(&*transaction, event).await
    }
}

pub(crate) const QUEUE: &str = "keeper";

pub(crate) fn subscription() -> Subscription {
    Subscription { ordered: true, ..Subscription::new(EXCHANGE, QUEUE, ["thing.#"]) }
}

/// A table for the effects, and a queue for the events.
pub(crate) async fn prepare(fixture: &Fixture, subscription: &Subscription) {
    prepare_with(fixture, subscription, "aggregate text NOT NULL").await;
}

/// The same with this column for the aggregates.
pub(crate) async fn prepare_with(fixture: &Fixture, subscription: &Subscription, aggregate: &str) {
    let id = match fixture.backend() {
        DbBackend::Postgres => "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        _ => "integer PRIMARY KEY AUTOINCREMENT",
    };
    fixture.execute(&format!("CREATE TABLE effects (id {id}, {aggregate}, version bigint NOT NULL)")).await;
    fixture.broker.declare(subscription).await.unwrap();
}

/// A consumer at work. Dropped without [`Replica::stop`], it is a crash.
pub(crate) struct Replica {
    stop: CancellationToken,
    task: JoinHandle<()>,
    pub(crate) progress: watch::Receiver<Progress>,
    registry: Registry,
}

impl Replica {
    pub(crate) async fn start(fixture: &Fixture, handler: Keep) -> Self {
        Self::with(fixture, subscription(), Options::default(), handler).await
    }

    pub(crate) async fn with(
        fixture: &Fixture,
        subscription: Subscription,
        options: Options,
        handler: Keep,
    ) -> Self {
        let database = fixture.another_connection().await;
        Self::run(fixture.broker.clone(), database, subscription, options, handler)
    }

    pub(crate) fn run<D, H>(
        broker: Broker,
        database: D,
        subscription: Subscription,
        options: Options,
        handler: H,
    ) -> Self
    where
        D: Database,
        H: Handler<D::Transaction>,
    {
        let consumer = Consumer::new(broker, database, subscription, options).on(handler).unwrap();
        let (stop, progress, mut registry) =
            (CancellationToken::new(), consumer.progress(), Registry::default());
        consumer.metrics().register(&mut registry);
        let task = tokio::task::spawn(consumer.run(stop.clone()));
        Self { stop, task, progress, registry }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }

    /// A crash, and nothing of it is left: its transactions are rolled back or committed.
    pub(crate) async fn crash(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// The value of `consumer_<name>` for the events of the tests.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.metric_of(name, "event_type=\"thing_changed\"")
    }

    pub(crate) fn metric_of(&self, name: &str, label: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line =
            text.lines().find(|line| line.starts_with(&format!("consumer_{name}{{")) && line.contains(label));
        let value = line.map(|line| line.rsplit_once(' ').unwrap().1);
        value.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
    }

    pub(crate) async fn until_metric(&self, name: &str, value: u64) {
        eventually(name, async || self.metric(name) == value).await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An event as the outbox publishes it.
pub(crate) fn event(aggregate: &str, version: i64) -> Message {
    let new = message(aggregate, version, "thing.changed");
    let mut headers = new.headers;
    headers.insert("aggregate_id".to_owned(), new.aggregate_id.into());
    headers.insert("aggregate_version".to_owned(), new.aggregate_version.into());
    Message {
        id: new.id,
        kind: new.event_type,
        routing_key: new.routing_key,
        app_id: "tests".to_owned(),
        timestamp: new.created_at,
        headers,
        payload: new.payload.into(),
    }
}

pub(crate) async fn send(fixture: &Fixture, events: &[Message]) {
    let mut publisher = fixture.broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
    let verdicts = publisher.publish(events, Duration::from_secs(10)).await.unwrap();
    assert_eq!(verdicts, vec![Verdict::Confirmed; events.len()]);
    publisher.close().await;
}

/// `(aggregate, version)` of every effect, in the order of the commits of each aggregate.
pub(crate) async fn effects(database: &DatabaseConnection) -> Vec<(String, i64)> {
    let all = "SELECT aggregate, version FROM effects ORDER BY id";
    let rows = Statement::from_string(database.get_database_backend(), all);
    let rows = database.query_all_raw(rows).await.unwrap();
    rows.iter()
        .map(|row| (row.try_get("", "aggregate").unwrap(), row.try_get("", "version").unwrap()))
        .collect()
}

pub(crate) async fn until_effects(fixture: &Fixture, count: usize) {
    eventually("effects", async || effects(&fixture.database).await.len() >= count).await;
}

pub(crate) async fn eventually(what: &str, probe: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !probe().await {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The ids of the dead letters.
pub(crate) async fn dead(fixture: &Fixture) -> Vec<Uuid> {
    let letters = fixture.broker.dead_letters(QUEUE, 100).await.unwrap();
    letters.into_iter().map(|letter| letter.message.id).collect()
}
