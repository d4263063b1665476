//! An order service for one test, and helpers for requests.

use std::{fmt, net::SocketAddr, time::Duration};

use chrono::DateTime;
use http::{HeaderMap, Method, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use order::{Config, Order, SCHEMA};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use shop_core::{
    Clock, UserId,
    events::{EXCHANGE, Event},
};
use shop_messaging::{Broker, Message, PublisherOptions, Verdict, in_process::InProcessBroker};
use shop_runtime::{
    Bus, BusUrl, Lifecycle, Scope, Service as _,
    auth::{Audience, Claims, ISSUER, Role, TokenConfig},
    consumer::ConsumerConfig,
    database::{self, Database},
    seal::LinkConfig,
};
use shop_testing::{TestBroker, TestDatabase};
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

use crate::fake_catalog::FakeCatalog;

const SECRET: &str = "a secret that only the tests know, 64 bytes long for every HS hash";

/// Runs each case on both databases: `sqlite::case` and `postgres::case`.
macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::harness::Orders::on_sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(orders) = crate::harness::Orders::on_postgres().await else { return };
                    super::$case(orders).await;
                }
            )*
        }
    };
}
pub(crate) use on_both_databases;

/// Runs each case on SQLite with the bus in the process, and on PostgreSQL with RabbitMQ.
macro_rules! on_both_backends {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::harness::Orders::on_sqlite().await).await;
                }
            )*
        }
        mod real {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(orders) = crate::harness::Orders::on_postgres_and_rabbitmq().await else { return };
                    super::$case(orders).await;
                }
            )*
        }
    };
}
pub(crate) use on_both_backends;

/// How long a test waits for something that happens on its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running order service with guest checkout, its catalog, and a look into its database.
pub(crate) struct Orders {
    pub(crate) catalog: FakeCatalog,
    pub(crate) clock: Clock,
    url: String,
    config: Config,
    client: reqwest::Client,
    database: Database,
    broker: Broker,
    bus: Bus,
    pub(crate) lifecycle: Lifecycle,
    _place: Place,
}

/// Where the data is; removed after the test.
#[expect(dead_code, reason = "held until the test is over, never read")]
enum Place {
    Folder(TempDir),
    Server(TestDatabase),
    Servers(TestDatabase, TestBroker),
    Elsewhere,
}

/// The sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Guest,
    Anna,
    Boris,
    Admin,
}

impl Who {
    pub(crate) fn email(self) -> &'static str {
        match self {
            Self::Guest => "guest@example.com",
            Self::Anna => "anna@example.com",
            Self::Boris => "boris@example.com",
            Self::Admin => "admin@example.com",
        }
    }

    pub(crate) fn token(self) -> Option<String> {
        (self != Self::Guest).then(|| token(Algorithm::HS256, &self.claims(3600)))
    }

    pub(crate) fn claims(self, expires_in: i64) -> Claims {
        let now = Clock::system().now().timestamp();
        Claims {
            sub: UserId(Uuid::from_u128(self as u128)),
            email: self.email().parse().unwrap(),
            roles: vec![if self == Self::Admin { Role::Admin } else { Role::Customer }],
            iat: now,
            exp: now + expires_in,
            iss: ISSUER.to_owned(),
            aud: Some(Audience::shop()),
            jti: Uuid::nil(),
        }
    }
}

/// A token signed with the tests' secret.
pub(crate) fn token(algorithm: Algorithm, claims: &Claims) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// A complete response.
#[derive(Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The id of the order in this response.
    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// Checks the status, and for an error the stable end of the problem's type.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, slug: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if !slug.is_empty() {
            assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
            assert_eq!(self.json()["type"], format!("https://shop.dev/problems/{slug}"), "{self:?}");
        }
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

impl Orders {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("order.db").display());
        Self::start(&url, None, Place::Folder(folder)).await
    }

    pub(crate) async fn on_postgres() -> Option<Self> {
        let database = shop_testing::postgres().await?;
        let url = database.url.clone();
        Some(Self::start(&url, None, Place::Server(database)).await)
    }

    pub(crate) async fn on_postgres_and_rabbitmq() -> Option<Self> {
        let (database, broker) = (shop_testing::postgres().await?, shop_testing::rabbitmq().await?);
        let (url, bus) = (database.url.clone(), broker.url.clone());
        Some(Self::start(&url, Some(&bus), Place::Servers(database, broker)).await)
    }

    /// On a database for this test.
    pub(crate) async fn at(database_url: &str) -> Self {
        Self::start(database_url, None, Place::Elsewhere).await
    }

    /// With RabbitMQ at `bus`, or else a bus in the process.
    async fn start(database_url: &str, bus: Option<&str>, place: Place) -> Self {
        shop_runtime::install_crypto();
        let lifecycle = Lifecycle::new();
        let rabbitmq_url = bus.map_or(BusUrl::EMBEDDED, |url| url.parse().unwrap());
        let bus = Bus::of_process(InProcessBroker::default().into());
        let catalog = FakeCatalog::start(&Scope::new("catalog", &lifecycle)).await;
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database_url: database_url.parse().unwrap(),
            rabbitmq_url: rabbitmq_url.clone(),
            consumer: ConsumerConfig::default(),
            catalog_url: catalog.url.parse().unwrap(),
            guest_checkout: true,
            guest_orders_per_minute: 0,
            pending_timeout_seconds: order::DEFAULT_PENDING_TIMEOUT_SECONDS,
            link: LinkConfig::default(),
            tokens: TokenConfig::with_secret(SECRET),
        };
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let url = serve(&config, &clock, &bus, &lifecycle).await;
        let database = database::connect(&config.database_url, SCHEMA).await.unwrap();
        let (client, broker) = (reqwest::Client::new(), bus.open(&rabbitmq_url).unwrap());
        Self { catalog, clock, url, config, client, database, broker, bus, lifecycle, _place: place }
    }

    /// The address of a second service on the same database, with other settings.
    pub(crate) async fn beside(&self, change: impl FnOnce(&mut Config)) -> String {
        let mut config = self.config.clone();
        change(&mut config);
        serve(&config, &self.clock, &self.bus, &self.lifecycle).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, who: Who, path: &str) -> Answer {
        send(as_caller(self.request(Method::GET, path), who)).await
    }

    /// Reads with an order's own token.
    pub(crate) async fn get_with(&self, token: &str, path: &str) -> Answer {
        send(self.request(Method::GET, path).header("X-Order-Token", token)).await
    }

    pub(crate) async fn post(&self, who: Who, path: &str, body: &Value) -> Answer {
        send(as_caller(self.request(Method::POST, path).json(body), who)).await
    }

    /// Places an order with an `Idempotency-Key`.
    pub(crate) async fn post_with_key(&self, who: Who, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, "/orders").json(body).header("Idempotency-Key", key);
        send(as_caller(request, who)).await
    }

    /// Places an order for one of product 1, a second after the previous one.
    pub(crate) async fn placed_by(&self, who: Who) -> String {
        self.clock.advance(chrono::TimeDelta::seconds(1));
        self.post(who, "/orders", &one_of(who, 1)).await.expect(201, "").id()
    }

    pub(crate) async fn cancel(&self, who: Who, id: &str) -> Answer {
        self.post(who, &format!("/orders/{id}/cancel"), &json!({})).await
    }

    /// One number from the database.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let row =
            self.database.query_one_raw(self.statement(&format!("SELECT count(*) AS n FROM {table}"))).await;
        row.unwrap().unwrap().try_get("", "n").unwrap()
    }

    /// The outbox, oldest first: event type, routing key, aggregate id and version, payload.
    pub(crate) async fn events(&self) -> Vec<(String, String, String, i64, Value)> {
        let sql = "SELECT event_type, routing_key, aggregate_id, aggregate_version, \
                   CAST(payload AS text) AS payload FROM outbox_messages ORDER BY id";
        let rows = self.database.query_all_raw(self.statement(sql)).await.unwrap();
        rows.iter()
            .map(|row| {
                let text = |column: &str| row.try_get::<String>("", column).unwrap();
                let payload = serde_json::from_str(&text("payload")).unwrap();
                let version = row.try_get("", "aggregate_version").unwrap();
                (text("event_type"), text("routing_key"), text("aggregate_id"), version, payload)
            })
            .collect()
    }

    /// Publishes `events` about orders, each with the order's id.
    pub(crate) async fn tell<E: Event>(&self, events: impl IntoIterator<Item = (&str, E)>) {
        let messages: Vec<_> = events.into_iter().map(|(id, event)| message(id, &event)).collect();
        self.publish(&messages).await;
    }

    pub(crate) async fn publish(&self, messages: &[Message]) {
        let mut publisher = self.broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        let verdicts = publisher.publish(messages, Duration::from_secs(10)).await.unwrap();
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Confirmed), "{verdicts:?}");
    }

    /// Waits until `count` messages were handled, duplicates included.
    pub(crate) async fn handled(&self, count: u64) {
        until("all messages are handled", async || {
            let metrics = send(self.request(Method::GET, "/metrics")).await.text;
            let of = |name: &str| -> u64 {
                let lines = metrics.lines().filter(|line| line.starts_with(name));
                lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
            };
            of("consumer_handled_total{") + of("consumer_duplicates_total{") >= count
        })
        .await;
    }

    /// An order as the shop sees it.
    pub(crate) async fn shown(&self, id: &str) -> Value {
        self.get(Who::Admin, &format!("/orders/{id}")).await.expect(200, "").json()
    }

    /// What has happened to an order, after it was placed.
    pub(crate) async fn timeline(&self, id: &str) -> Vec<String> {
        let shown = self.shown(id).await;
        let entries = shown["timeline"].as_array().unwrap();
        let seqs: Vec<_> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=entries.len() as u64).collect::<Vec<_>>(), "{shown}");
        let names = entries.iter().map(|entry| entry["event"].as_str().unwrap().to_owned());
        let mut names: Vec<_> = names.collect();
        assert_eq!(names.remove(0), "placed");
        names
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute_unprepared(sql).await.unwrap();
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, line: &str) -> Option<u64> {
        let metrics = send(self.request(Method::GET, "/metrics")).await.text;
        let value = metrics.lines().find_map(|text| text.strip_prefix(line)).map(str::trim);
        value.map(|value| value.parse().unwrap())
    }

    fn statement(&self, sql: &str) -> Statement {
        let backend: DbBackend = self.database.get_database_backend();
        Statement::from_string(backend, sql)
    }
}

async fn serve(config: &Config, clock: &Clock, bus: &Bus, lifecycle: &Lifecycle) -> String {
    let scope = Scope { clock: clock.clone(), bus: bus.clone(), ..Scope::new(Order::NAME, lifecycle) };
    format!("http://{}", shop_runtime::start::<Order>(config.clone(), scope).await.unwrap())
}

/// `event` about order `id`, as its publisher sends it.
pub(crate) fn message<E: Event>(id: &str, event: &E) -> Message {
    Message {
        id: Uuid::new_v4(),
        kind: E::TYPE.to_owned(),
        routing_key: E::ROUTING_KEY.to_owned(),
        app_id: "tests".to_owned(),
        timestamp: DateTime::UNIX_EPOCH,
        headers: [("aggregate_id".to_owned(), id.into())].into(),
        payload: serde_json::to_vec(event).unwrap().into(),
    }
}

pub(crate) fn as_caller(request: reqwest::RequestBuilder, who: Who) -> reqwest::RequestBuilder {
    match who.token() {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// A request for `quantity` of product 1.
pub(crate) fn one_of(who: Who, quantity: u32) -> Value {
    json!({ "customer_email": who.email(), "items": [{ "product_id": 1, "quantity": quantity }] })
}
