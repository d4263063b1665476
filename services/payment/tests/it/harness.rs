//! A payment service for one test, with the events of its neighbours.

use std::{fmt, net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use http::{Method, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use payment::{
    Config, DEFAULT_CALL_TIMEOUT_MS, DEFAULT_GIVE_UP_SECONDS, Payment, ProviderKind, SCHEMA, SimulatedConfig,
    StripeConfig,
};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use shop_core::{
    Clock, Currency, Money, OrderId, UserId,
    events::{CancellationCode, EXCHANGE, Event, OrderCancelled, StockReserved},
};
use shop_messaging::{Broker, Message, PublisherOptions, Verdict, in_process::InProcessBroker};
use shop_runtime::{
    Bus, BusUrl, Lifecycle, Scope, Service as _,
    auth::{Audience, Claims, ISSUER, Role, TokenConfig},
    consumer::ConsumerConfig,
    database,
};
use shop_testing::{TestBroker, TestDatabase};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const SECRET: &str = "a secret that only the tests know, 64 bytes long for every HS hash";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_4f1c0b7e9d2a4c558861b0d3f7a9e6c2";
const PATIENCE: Duration = Duration::from_secs(40);

/// Runs each case on the embedded backends and on the real ones: `embedded::case` and `real::case`.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::harness::Place::embedded().await).await;
                }
            )*
        }
        mod real {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(place) = crate::harness::Place::real().await else { return };
                    super::$case(place).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// A database and a broker, where payment services may be started.
pub(crate) struct Place {
    pub(crate) clock: Clock,
    pub(crate) broker: Broker,
    database_url: String,
    bus: Bus,
    bus_url: BusUrl,
    _held: Held,
}

/// Removed after the test.
#[expect(dead_code, reason = "held until the test is over, never read")]
enum Held {
    Embedded(TempDir),
    Real(TestDatabase, TestBroker),
}

/// A running payment service.
pub(crate) struct Payments {
    pub(crate) url: String,
    pub(crate) lifecycle: Lifecycle,
    client: reqwest::Client,
}

/// An order whose stock is reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) amount: Money,
}

/// A complete response.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) link: Option<String>,
    pub(crate) text: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the status, and for an error the stable end of the problem's type.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, slug: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if !slug.is_empty() {
            assert_eq!(self.json()["type"], format!("https://shop.dev/problems/{slug}"), "{self:?}");
        }
        self
    }
}

impl Place {
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database_url = format!("sqlite:{}", folder.path().join("payments.db").display());
        let broker = Broker::from(InProcessBroker::default());
        let bus = Bus::of_process(broker.clone());
        Self::new(database_url, broker, bus, BusUrl::EMBEDDED, Held::Embedded(folder))
    }

    pub(crate) async fn real() -> Option<Self> {
        shop_runtime::install_crypto();
        let (database, rabbitmq) = (shop_testing::postgres().await?, shop_testing::rabbitmq().await?);
        let broker = Broker::open(&rabbitmq.url, None).unwrap();
        let (database_url, bus_url) = (database.url.clone(), rabbitmq.url.parse().unwrap());
        Some(Self::new(database_url, broker, Bus::default(), bus_url, Held::Real(database, rabbitmq)))
    }

    fn new(database_url: String, broker: Broker, bus: Bus, bus_url: BusUrl, held: Held) -> Self {
        Self { clock: Clock::system(), broker, database_url, bus, bus_url, _held: held }
    }

    /// With a clock that only [`Clock::advance`] moves.
    pub(crate) fn with_manual_clock(mut self) -> Self {
        self.clock = Clock::manual(Clock::system().now());
        self
    }

    /// A service with the simulated provider, whose calls may take half a second. `change` changes its settings.
    pub(crate) async fn payments(&self, change: impl FnOnce(&mut Config)) -> Payments {
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database_url: self.database_url.parse().unwrap(),
            rabbitmq_url: self.bus_url.clone(),
            consumer: ConsumerConfig::default(),
            tokens: TokenConfig::with_secret(SECRET),
            provider: ProviderKind::Simulated,
            webhook_secret: Some(WEBHOOK_SECRET.into()),
            give_up_seconds: DEFAULT_GIVE_UP_SECONDS,
            call_timeout_ms: DEFAULT_CALL_TIMEOUT_MS,
            simulated: SimulatedConfig::default(),
            stripe: StripeConfig::default(),
        };
        change(&mut config);
        let lifecycle = Lifecycle::new();
        let scope = Scope {
            clock: self.clock.clone(),
            bus: self.bus.clone(),
            ..Scope::new(Payment::NAME, &lifecycle)
        };
        let address = shop_runtime::start::<Payment>(config, scope).await.unwrap();
        Payments { url: format!("http://{address}"), lifecycle, client: reqwest::Client::new() }
    }

    /// Lets time pass, half a minute by half a minute, until the order's payment is in `state`, and returns it.
    pub(crate) async fn passes_until(&self, payments: &Payments, order: Order, state: &str) -> Value {
        for _ in 0..200 {
            self.clock.advance(TimeDelta::seconds(30));
            sleep(Duration::from_millis(150)).await;
            if let Some(payment) = payments.payment(order).await.filter(|payment| payment["state"] == state) {
                return payment;
            }
        }
        panic!("not {state}: {:?}", payments.payment(order).await);
    }

    /// An order of `minor` kopecks.
    pub(crate) fn order(&self, minor: i64) -> Order {
        Order { id: OrderId(self.clock.new_id()), amount: Money::from_minor(minor).unwrap() }
    }

    /// Its stock is reserved.
    pub(crate) async fn reserved(&self, order: Order) {
        self.publish(&[self.reservation(order)]).await;
    }

    /// It is cancelled.
    pub(crate) async fn cancelled(&self, order: Order) {
        self.publish(&[self.cancellation(order)]).await;
    }

    pub(crate) fn reservation(&self, order: Order) -> Message {
        let event = StockReserved {
            order_id: order.id,
            customer_email: "buyer@example.com".parse().unwrap(),
            total_amount: order.amount,
            currency: Currency::RUB,
            items: Vec::new(),
            reserved_until: self.clock.now() + TimeDelta::seconds(1800),
        };
        self.message(order, "reservation", &event)
    }

    pub(crate) fn cancellation(&self, order: Order) -> Message {
        let event = OrderCancelled {
            order_id: order.id,
            customer_email: "buyer@example.com".parse().unwrap(),
            total_amount: order.amount,
            reason: "The customer cancelled it.".to_owned(),
            code: CancellationCode::ByCustomer,
            currency: Currency::RUB,
        };
        self.message(order, "order", &event)
    }

    fn message<E: Event>(&self, order: Order, kind: &str, event: &E) -> Message {
        let headers = [("aggregate_type", kind.to_owned()), ("aggregate_id", order.id.to_string())];
        Message {
            id: Uuid::new_v4(),
            kind: E::TYPE.to_owned(),
            routing_key: E::ROUTING_KEY.to_owned(),
            app_id: "tests".to_owned(),
            timestamp: self.clock.now(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into())).into(),
            payload: serde_json::to_vec(event).unwrap().into(),
        }
    }

    pub(crate) async fn publish(&self, messages: &[Message]) {
        let mut publisher = self.broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        let verdicts = publisher.publish(messages, Duration::from_secs(10)).await.unwrap();
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Confirmed), "{verdicts:?}");
    }

    /// What was announced of an order, oldest first: event type, version, payload.
    pub(crate) async fn events(&self, order: Order) -> Vec<(String, i64, Value)> {
        let sql = format!(
            "SELECT event_type, aggregate_type, aggregate_version, CAST(payload AS text) AS payload \
             FROM outbox_messages WHERE aggregate_id = '{}' ORDER BY id",
            order.id
        );
        let rows = self.rows(&sql).await;
        rows.iter()
            .map(|row| {
                let text = |column: &str| row.try_get::<String>("", column).unwrap();
                assert_eq!(text("aggregate_type"), "payment");
                let payload = serde_json::from_str(&text("payload")).unwrap();
                (text("event_type"), row.try_get("", "aggregate_version").unwrap(), payload)
            })
            .collect()
    }

    /// The types of what was announced of an order.
    pub(crate) async fn announced(&self, order: Order) -> Vec<String> {
        let events = self.events(order).await;
        let versions: Vec<_> = events.iter().map(|(_, version, _)| *version).collect();
        assert_eq!(versions, (1..=events.len() as i64).collect::<Vec<_>>());
        events.into_iter().map(|(event_type, ..)| event_type).collect()
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        self.rows(&format!("SELECT count(*) AS n FROM {from}")).await[0].try_get("", "n").unwrap()
    }

    async fn rows(&self, sql: &str) -> Vec<sea_orm::QueryResult> {
        let database = database::attach(&self.database_url.parse().unwrap(), SCHEMA).await.unwrap();
        let statement = Statement::from_string(database.get_database_backend(), sql);
        database.query_all_raw(statement).await.unwrap()
    }
}

impl Payments {
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        Answer { status: response.status(), link, text: response.text().await.unwrap() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get_as(&self, role: Role, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(token(role))).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.get_as(Role::Admin, path).await.expect(200, "").json()
    }

    /// Sets a switch of the simulated provider.
    pub(crate) async fn switch(&self, name: &str, on: bool) {
        let request = self.request(Method::PUT, &format!("/simulated/switches/{name}"));
        self.send(request.bearer_auth(token(Role::Admin)).json(&json!({ "on": on }))).await.expect(204, "");
    }

    /// The payment of an order, if it has one.
    pub(crate) async fn payment(&self, order: Order) -> Option<Value> {
        let payments = self.get(&format!("/payments?order_id={}", order.id)).await;
        assert!(payments.as_array().unwrap().len() <= 1, "{payments}");
        payments.get(0).cloned()
    }

    /// The states of an order's charges in the simulated provider's books.
    pub(crate) async fn charges(&self, order: Order) -> Vec<String> {
        let charges = self.get(&format!("/simulated/charges?order_id={}", order.id)).await;
        let charges = charges.as_array().unwrap().iter();
        charges.map(|charge| charge["state"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the order's payment is in `state`, and returns it.
    pub(crate) async fn reaches(&self, order: Order, state: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let payment = self.payment(order).await;
            if let Some(payment) = payment.as_ref().filter(|payment| payment["state"] == state) {
                return payment.clone();
            }
            assert!(Instant::now() < deadline, "not {state}: {payment:?}");
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, line: &str) -> u64 {
        let metrics = self.send(self.request(Method::GET, "/metrics")).await.text;
        let value = metrics.lines().find_map(|text| text.strip_prefix(line)).map(str::trim);
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Stops the service and waits until it has stopped.
    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        self.lifecycle.run().await;
    }
}

fn token(role: Role) -> String {
    let now = Clock::system().now().timestamp();
    let claims = Claims {
        sub: UserId(Uuid::from_u128(1)),
        email: "admin@example.com".parse().unwrap(),
        roles: vec![role],
        iat: now,
        exp: now + 3600,
        iss: ISSUER.to_owned(),
        aud: Some(Audience::shop()),
        jti: Uuid::nil(),
    };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}
