use std::{collections::HashMap, path::Path, sync::Mutex};

use shop_testing::{
    TestBroker, TestDatabase, TestRedis,
    shop::{Part, Plan},
};
use tempfile::TempDir;

use super::process::{Process, free_address};

pub(crate) use shop_testing::shop::Backends;

/// Empty places on the real backends, for one test.
pub(crate) struct Real {
    pub(crate) postgres: TestDatabase,
    redis: TestRedis,
    pub(crate) rabbitmq: TestBroker,
}

impl Real {
    /// `None` if one of them is not available.
    pub(crate) async fn take() -> Option<Self> {
        let (postgres, redis) = (shop_testing::postgres().await?, shop_testing::redis().await?);
        Some(Self { postgres, redis, rabbitmq: shop_testing::rabbitmq().await? })
    }

    pub(crate) fn backends(&self) -> Backends<'_> {
        Backends { postgres: &self.postgres.url, redis: &self.redis.url, rabbitmq: &self.rabbitmq.url }
    }
}

/// A running shop: one process on embedded backends, or every service as a process on real ones.
pub(crate) struct Shop {
    pub(crate) auth: String,
    pub(crate) catalog: String,
    pub(crate) order: String,
    pub(crate) web: String,
    pub(crate) payment: String,
    pub(crate) notification: String,
    /// In the order of their start.
    pub(crate) processes: Vec<Process>,
    pub(crate) folder: TempDir,
    /// What can be started of it, with its own variables.
    parts: Vec<Part>,
    /// More variables of every part; they take precedence.
    environment: Vec<(String, String)>,
    /// The tokens of guests' orders, by order id.
    tokens: Mutex<HashMap<String, String>>,
}

/// What [`Shop::real`] starts.
const FRONT: [&str; 4] = ["auth", "catalog", "order", "web"];
/// What [`Shop::whole`] starts as well.
const BEHIND: [&str; 2] = ["payment", "notification"];

impl Shop {
    /// Starts what `cargo run` starts.
    pub(crate) async fn embedded(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses = [
            "AUTH_LISTEN",
            "CATALOG_LISTEN",
            "ORDER_LISTEN",
            "WEB_LISTEN",
            "PAYMENT_LISTEN",
            "NOTIFICATION_LISTEN",
            "OUTBOX_LISTEN",
            "TELEGRAM_LISTEN",
        ]
        .map(|name| (name, free_address()));
        let url = |place: usize| format!("http://{}", addresses[place].1);
        let variables = addresses.map(|(name, address)| (name, address.to_string())).to_vec();
        let part = Part { name: "shop", binary: "shop", address: addresses[3].1, variables };
        let mut shop = Self {
            auth: url(0),
            catalog: url(1),
            order: url(2),
            web: url(3),
            payment: url(4),
            notification: url(5),
            processes: Vec::new(),
            folder,
            parts: vec![part],
            environment: owned(environment),
            tokens: Mutex::default(),
        };
        shop.start("shop").await;
        shop
    }

    /// Starts auth, catalog, order and web, without those that react to events. [`Shop::publisher`] publishes the orders' events.
    pub(crate) async fn real(backends: &Backends<'_>, environment: &[(&str, &str)]) -> Self {
        let mut shop = Self::planned(backends, environment);
        for name in FRONT {
            shop.start(name).await;
        }
        shop
    }

    /// Starts every service that compose starts, except the bot. Nothing is published before [`Shop::publish`].
    pub(crate) async fn whole(backends: &Backends<'_>, environment: &[(&str, &str)]) -> Self {
        let mut shop = Self::planned(backends, environment);
        for name in FRONT.into_iter().chain(BEHIND) {
            shop.start(name).await;
        }
        shop
    }

    fn planned(backends: &Backends<'_>, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(backends, folder.path()).unwrap();
        let url = |name: &str| plan.part(name).url();
        Self {
            auth: url("auth"),
            catalog: url("catalog"),
            order: url("order"),
            web: url("web"),
            payment: url("payment"),
            notification: url("notification"),
            processes: Vec::new(),
            folder,
            parts: plan.parts,
            environment: owned(environment),
            tokens: Mutex::default(),
        }
    }

    /// Starts a part, or starts it again where it was.
    pub(crate) async fn start(&mut self, name: &str) {
        let process = self.started(self.part(name)).await;
        self.processes.push(process);
    }

    /// Starts the publishers of all outboxes.
    pub(crate) async fn publish(&mut self) {
        for name in ["order-publisher", "catalog-publisher", "payment-publisher"] {
            self.start(name).await;
        }
    }

    /// Starts a publisher of the orders' outbox alone, which waits for no queue.
    pub(crate) async fn publisher(&self) -> Process {
        let address = free_address();
        let mut part = Part { address, ..self.part("order-publisher").clone() };
        part.set("OUTBOX_LISTEN", address.to_string());
        part.variables.retain(|(name, _)| *name != "OUTBOX_REQUIRED_QUEUES");
        self.started(&part).await
    }

    async fn started(&self, part: &Part) -> Process {
        let own = part.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let others = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = own.chain(others).collect();
        Process::start(part.binary, self.path(), part.address, &all).ready().await
    }

    fn part(&self, name: &str) -> &Part {
        self.parts.iter().find(|part| part.name == name).unwrap()
    }

    /// The variables of a part: for a tool that is its binary, too.
    pub(crate) fn variables(&self, name: &str) -> &[(&'static str, String)] {
        &self.part(name).variables
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Places the specification's order as a guest; returns its id.
    pub(crate) async fn place_order(&self, email: &str) -> String {
        let body = serde_json::json!({
            "customer_email": email,
            "items": [
                { "product_id": 1, "quantity": 2, "price": 500.0 },
                { "product_id": 2, "quantity": 1, "price": 1500.0 },
            ],
        });
        self.place(&body).await
    }

    /// Places an order as a guest; returns its id.
    pub(crate) async fn place(&self, order: &serde_json::Value) -> String {
        let answer = super::http().post(format!("{}/orders", self.order)).json(order).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let order: serde_json::Value = answer.json().await.unwrap();
        let text =
            |name: &str| order[name].as_str().unwrap_or_else(|| panic!("no {name}: {order}")).to_owned();
        self.tokens.lock().unwrap().insert(text("id"), text("order_token"));
        text("id")
    }

    /// Cancels an order that was placed here.
    pub(crate) async fn cancel_order(&self, id: &str) {
        let request = super::http().post(format!("{}/orders/{id}/cancel", self.order));
        let answer = request.header("X-Order-Token", self.token(id)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    /// An order that was placed here, as its guest sees it; `None` while the service does not answer.
    pub(crate) async fn order(&self, id: &str) -> Option<serde_json::Value> {
        let request = super::http().get(format!("{}/orders/{id}", self.order));
        let answer = request.header("X-Order-Token", self.token(id)).send().await.ok()?;
        answer.json().await.ok()
    }

    fn token(&self, id: &str) -> String {
        self.tokens.lock().unwrap()[id].clone()
    }
}

fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
