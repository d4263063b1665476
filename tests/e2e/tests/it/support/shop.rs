use std::{collections::HashMap, path::Path, sync::Mutex};

use shop_testing::{TestBroker, TestDatabase, TestRedis};
use tempfile::TempDir;

use super::process::{Process, free_address};

/// The addresses of the real backends.
pub(crate) struct Backends<'a> {
    pub(crate) postgres: &'a str,
    pub(crate) redis: &'a str,
    pub(crate) rabbitmq: &'a str,
}

/// Empty places on the real backends, for one test.
pub(crate) struct Real {
    postgres: TestDatabase,
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
    /// In the order of their start; publishers last.
    pub(crate) processes: Vec<Process>,
    pub(crate) folder: TempDir,
    publisher: Vec<(String, String)>,
    /// The tokens of guests' orders, by order id.
    tokens: Mutex<HashMap<String, String>>,
}

const JWT_SECRET: &str = "a secret for the tests that is at least as long as HS256 wants it";
const SESSION_SECRET: &str = "another secret for the tests, for the storefront's cookies";

/// As in compose: only the shop's own services call it.
const INTERNAL: (&str, &str) = ("TRUST_TRACEPARENT", "true");

impl Shop {
    /// Starts what `cargo run` starts.
    pub(crate) async fn embedded(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [auth, catalog, order, web, outbox, telegram] = std::array::from_fn(|_| free_address());
        let addresses = [
            ("AUTH_LISTEN", auth),
            ("CATALOG_LISTEN", catalog),
            ("ORDER_LISTEN", order),
            ("WEB_LISTEN", web),
            ("OUTBOX_LISTEN", outbox),
            ("TELEGRAM_LISTEN", telegram),
        ]
        .map(|(name, address)| (name, address.to_string()));
        let all: Vec<(&str, &str)> = addresses
            .iter()
            .map(|(name, address)| (*name, address.as_str()))
            .chain(environment.iter().copied())
            .collect();
        let process = Process::start("shop", folder.path(), web, &all).ready().await;
        Self {
            auth: format!("http://{auth}"),
            catalog: format!("http://{catalog}"),
            order: format!("http://{order}"),
            web: format!("http://{web}"),
            processes: vec![process],
            folder,
            publisher: Vec::new(),
            tokens: Mutex::default(),
        }
    }

    /// Starts what compose starts, except the bot.
    pub(crate) async fn real(backends: &Backends<'_>, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [auth, catalog, order, web] = std::array::from_fn(|_| free_address());
        let url = |address| format!("http://{address}");
        let (auth_url, catalog_url, order_url) = (url(auth), url(catalog), url(order));
        let start = async |binary: &str, address, own: &[(&str, &str)]| {
            let all: Vec<_> = own.iter().chain(environment).copied().collect();
            Process::start(binary, folder.path(), address, &all).ready().await
        };
        let listen = [auth, catalog, order, web].map(|address| address.to_string());
        let mut processes = vec![
            start(
                "auth",
                auth,
                &[
                    ("AUTH_LISTEN", &listen[0]),
                    ("AUTH_DATABASE_URL", backends.postgres),
                    ("AUTH_JWT_SECRET", JWT_SECRET),
                    INTERNAL,
                ],
            )
            .await,
        ];
        processes.push(
            start(
                "catalog",
                catalog,
                &[
                    ("CATALOG_LISTEN", &listen[1]),
                    ("CATALOG_DATABASE_URL", backends.postgres),
                    ("CATALOG_REDIS_URL", backends.redis),
                    ("AUTH_JWT_SECRET", JWT_SECRET),
                    INTERNAL,
                ],
            )
            .await,
        );
        processes.push(
            start(
                "order",
                order,
                &[
                    ("ORDER_LISTEN", &listen[2]),
                    ("ORDER_DATABASE_URL", backends.postgres),
                    ("ORDER_CATALOG_URL", &catalog_url),
                    ("ORDER_GUEST_CHECKOUT", "true"),
                    ("AUTH_JWT_SECRET", JWT_SECRET),
                    INTERNAL,
                ],
            )
            .await,
        );
        processes.push(
            start(
                "web",
                web,
                &[
                    ("WEB_LISTEN", &listen[3]),
                    ("WEB_SESSION_SECRET", SESSION_SECRET),
                    ("WEB_AUTH_URL", &auth_url),
                    ("WEB_CATALOG_URL", &catalog_url),
                    ("WEB_ORDER_URL", &order_url),
                ],
            )
            .await,
        );
        let publisher =
            [("OUTBOX_DATABASE_URL", backends.postgres), ("OUTBOX_RABBITMQ_URL", backends.rabbitmq)];
        let publisher = publisher.iter().chain(environment);
        let publisher = publisher.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self {
            auth: auth_url,
            catalog: catalog_url,
            order: order_url,
            web: url(web),
            processes,
            folder,
            publisher,
            tokens: Mutex::default(),
        }
    }

    /// Starts a publisher for a shop on real backends.
    pub(crate) async fn publisher(&self) -> Process {
        let address = free_address();
        let listen = address.to_string();
        let all: Vec<(&str, &str)> = [("OUTBOX_LISTEN", listen.as_str()), ("OUTBOX_LEASE_SECONDS", "3")]
            .into_iter()
            .chain(self.publisher.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .collect();
        Process::start("outbox-controller", self.path(), address, &all).ready().await
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
        let answer = super::http().post(format!("{}/orders", self.order)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        let order: serde_json::Value = answer.json().await.unwrap();
        let text =
            |name: &str| order[name].as_str().unwrap_or_else(|| panic!("no {name}: {order}")).to_owned();
        self.tokens.lock().unwrap().insert(text("id"), text("order_token"));
        text("id")
    }

    /// Cancels an order that [`Shop::place_order`] placed.
    pub(crate) async fn cancel_order(&self, id: &str) {
        let token = self.tokens.lock().unwrap()[id].clone();
        let request = super::http().post(format!("{}/orders/{id}/cancel", self.order));
        let answer = request.header("X-Order-Token", token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }
}
