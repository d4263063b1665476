//! A notification service for one test, and the events that it gets.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jsonwebtoken::{EncodingKey, Header};
use mail_parser::MessageParser;
use notification::{Config, Notification};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use shop_core::{
    Clock, Currency, Email, Language, Money, OrderId, ProductId, UserId,
    events::{EXCHANGE, Event, OrderConfirmed, OrderCreated, OrderedItem},
};
use shop_messaging::{Broker, DeadLetter, Message, PublisherOptions, Verdict, in_process::InProcessBroker};
use shop_runtime::{
    Bus, BusUrl, Lifecycle, Scope,
    auth::{Audience, Claims, ISSUER, Role, TokenConfig},
    config::SecretString,
    health::Health,
    metrics::Metrics,
    seal::LinkConfig,
};
use shop_testing::{
    TestBroker, TestDatabase,
    bot_api::{BotApi, TOKEN},
    mail_sink::{Mail, MailSink},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

const SECRET: &str = "a secret that only the tests know, of 32 bytes and more";
pub(crate) const LINK_SECRET: &str = "4f1c0b7e9d2a4c558861b0d3f7a9e6c2";

/// How long something may take that happens at once on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs each case on SQLite with the bus of the process, and on PostgreSQL with RabbitMQ.
macro_rules! everywhere {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::harness::Place::embedded()).await;
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
pub(crate) use everywhere;

/// A database and a broker.
pub(crate) struct Place {
    broker: Broker,
    backend: Backend,
}

enum Backend {
    Embedded(TempDir),
    Real { database: TestDatabase, broker: TestBroker },
}

impl Place {
    pub(crate) fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { broker: InProcessBroker::default().into(), backend: Backend::Embedded(folder) }
    }

    pub(crate) async fn real() -> Option<Self> {
        shop_runtime::install_crypto();
        let database = shop_testing::postgres().await?;
        let broker = shop_testing::rabbitmq().await?;
        Some(Self {
            broker: Broker::open(&broker.url, None).unwrap(),
            backend: Backend::Real { database, broker },
        })
    }

    fn urls(&self) -> (String, BusUrl) {
        match &self.backend {
            Backend::Embedded(folder) => {
                (format!("sqlite:{}", folder.path().join("notifications.db").display()), BusUrl::EMBEDDED)
            }
            Backend::Real { database, broker } => (database.url.clone(), broker.url.parse().unwrap()),
        }
    }

    /// A configuration whose mails go to `mail_url`.
    pub(crate) fn config(&self, mail_url: &str) -> Config {
        let (database_url, rabbitmq_url) = self.urls();
        Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            database_url: database_url.parse().unwrap(),
            rabbitmq_url,
            mail_url: mail_url.parse().unwrap(),
            mail_from: "Лавка <shop@example.com>".parse().unwrap(),
            shop_url: "https://shop.example".parse().unwrap(),
            mailbox: false,
            bot_token: None,
            telegram_api: "http://127.0.0.1:1".parse().unwrap(),
            link: LinkConfig { secret: Some(LINK_SECRET.into()) },
            consumer: Default::default(),
            tokens: TokenConfig::with_secret(SECRET),
        }
    }

    /// Starts the service with this configuration.
    pub(crate) async fn start(&self, config: Config) -> Service {
        // A runtime of its own, so that a test can end the service as a crash would.
        let runtime = Runtime::new().unwrap();
        let lifecycle = Lifecycle::new();
        let bus = match self.backend {
            Backend::Embedded(_) => Bus::of_process(self.broker.clone()),
            Backend::Real { .. } => Bus::default(),
        };
        let scope = Scope { bus, ..Scope::new("notification_service", &lifecycle) };
        let (metrics, health) = (scope.metrics.clone(), scope.health.clone());
        let starting = runtime.spawn(shop_runtime::start::<Notification>(config, scope));
        let address = starting.await.unwrap().unwrap();
        Service {
            address: format!("http://{address}"),
            client: Client::new(),
            metrics,
            health,
            lifecycle,
            runtime: Some(runtime),
        }
    }

    pub(crate) async fn start_with(&self, sink: &MailSink) -> Service {
        self.start(self.config(&url(sink))).await
    }

    pub(crate) async fn start_with_bot(&self, sink: &MailSink, bot: &BotApi) -> Service {
        let bot_token = Some(SecretString::from(TOKEN));
        let telegram_api = bot.url().parse().unwrap();
        self.start(Config { bot_token, telegram_api, ..self.config(&url(sink)) }).await
    }

    /// Publishes messages, in order.
    pub(crate) async fn publish(&self, messages: &[Message]) {
        let mut publisher = self.broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        let verdicts = publisher.publish(messages, PATIENCE).await.unwrap();
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Confirmed), "{verdicts:?}");
    }

    pub(crate) async fn dead_letters(&self, queue: &str) -> Vec<DeadLetter> {
        self.broker.dead_letters(queue, 100).await.unwrap()
    }

    /// Waits for the first dead letter.
    pub(crate) async fn dead_letter(&self, queue: &str) -> DeadLetter {
        until(async || self.dead_letters(queue).await.pop()).await
    }

    pub(crate) async fn replay(&self, queue: &str) {
        until(async || (self.broker.replay_dead_letters(queue, 10).await.unwrap() == 1).then_some(())).await;
    }
}

/// Asks again until there is something.
pub(crate) async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it did not happen in time")
}

pub(crate) fn url(sink: &MailSink) -> String {
    format!("smtp://127.0.0.1:{}", sink.port())
}

/// A running service.
pub(crate) struct Service {
    address: String,
    client: Client,
    metrics: Metrics,
    pub(crate) health: Health,
    lifecycle: Lifecycle,
    runtime: Option<Runtime>,
}

impl Service {
    /// Ends it as a crash would: whatever it is doing is not done.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address))
    }

    /// The response to an admin's GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, Option<String>, Value) {
        let admin = token("admin@example.com", Role::Admin);
        let response = self.request(Method::GET, path).bearer_auth(admin).send().await.unwrap();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        (response.status().as_u16(), link, response.json().await.unwrap())
    }

    /// What was told, oldest first: event, recipient, state.
    pub(crate) async fn told(&self) -> Vec<(String, String, String)> {
        let (_, _, list) = self.get("/notifications").await;
        let text = |notification: &Value, name: &str| notification[name].as_str().unwrap().to_owned();
        let told = list.as_array().unwrap().iter().rev().map(|notification| {
            (text(notification, "event_type"), text(notification, "to"), text(notification, "state"))
        });
        told.collect()
    }

    /// Waits until the metrics have this line.
    pub(crate) async fn counted(&self, line: &str) {
        until(async || self.metrics.encode().contains(&format!("{line}\n")).then_some(())).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.lifecycle.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An access token.
pub(crate) fn token(email: &str, role: Role) -> String {
    let now = Clock::system().now().timestamp();
    let claims = Claims {
        sub: user(email),
        email: email.parse().unwrap(),
        roles: vec![role],
        iat: now,
        exp: now + 3600,
        iss: ISSUER.to_owned(),
        aud: Some(Audience::shop()),
        jti: Uuid::nil(),
    };
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn user(email: &str) -> UserId {
    UserId(Uuid::from_u128(email.bytes().fold(0, |sum, byte| sum * 31 + u128::from(byte))))
}

/// An order, whose events are numbered.
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) email: Email,
    version: std::sync::atomic::AtomicI64,
}

impl Order {
    pub(crate) fn of(email: &str) -> Arc<Self> {
        let id = OrderId(Clock::system().new_id());
        Arc::new(Self { id, email: email.parse().unwrap(), version: 0.into() })
    }

    /// A message with an event of this order.
    pub(crate) fn event<E: Event>(&self, event: &E) -> Message {
        let version = self.version.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let headers = [("aggregate_id", self.id.to_string().into()), ("aggregate_version", version.into())];
        let clock = Clock::system();
        Message {
            id: clock.new_id(),
            kind: E::TYPE.to_owned(),
            routing_key: E::ROUTING_KEY.to_owned(),
            app_id: "tests".to_owned(),
            timestamp: clock.now(),
            headers: BTreeMap::from(headers.map(|(name, value)| (name.to_owned(), value))),
            payload: serde_json::to_vec(event).unwrap().into(),
        }
    }

    pub(crate) fn placed(&self) -> OrderCreated {
        OrderCreated {
            order_id: self.id,
            customer_email: self.email.clone(),
            total_amount: money(250_000),
            items: vec![OrderedItem {
                product_id: ProductId(1),
                quantity: 2,
                price: money(125_000),
                name: "Lantern".to_owned(),
            }],
            currency: Currency::RUB,
            language: Some(Language::English),
            sealed_token: None,
        }
    }

    pub(crate) fn created(&self) -> Message {
        self.event(&self.placed())
    }

    pub(crate) fn confirmed(&self) -> Message {
        self.event(&OrderConfirmed {
            order_id: self.id,
            customer_email: self.email.clone(),
            total_amount: money(250_000),
            currency: Currency::RUB,
        })
    }
}

pub(crate) fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap()
}

/// A mail's subject.
pub(crate) fn subject(mail: &Mail) -> String {
    MessageParser::default().parse(&mail.content).unwrap().subject().unwrap().to_owned()
}

/// A mail's text.
pub(crate) fn text(mail: &Mail) -> String {
    MessageParser::default().parse(&mail.content).unwrap().body_text(0).unwrap().into_owned()
}

/// Waits until the sink has `count` mails, and returns them.
pub(crate) async fn mails(sink: &MailSink, count: usize) -> Vec<Mail> {
    let found = sink.wait(|sink| Some(sink.mails()).filter(|mails| mails.len() >= count), PATIENCE).await;
    found.unwrap_or_else(|| panic!("{count} mails were awaited, and came: {:#?}", sink.mails()))
}

/// A request's JSON body.
pub(crate) fn link_body(chat: i64) -> Value {
    json!({ "chat_id": chat, "language": "en" })
}
