use std::{sync::Arc, time::Duration};

use catalog::{Catalog, Config, DEFAULT_RESERVATION_SECONDS, SCHEMA};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use shop_core::{Clock, UserId};
use shop_messaging::{Broker, in_process::InProcessBroker};
use shop_runtime::{
    Bus, BusUrl, Lifecycle, Scope, Service as _,
    auth::{Audience, Claims, ISSUER, Role, TokenConfig},
    consumer::ConsumerConfig,
    database::{self, Database},
    metrics::Metrics,
};

const SECRET: &str = "a secret of the tests, of 32 bytes and more";

/// A catalog that listens on its own port.
pub(crate) struct Shop {
    address: String,
    client: Client,
    metrics: Metrics,
    lifecycle: Lifecycle,
    places: Places,
    /// A look into its database.
    pub(crate) database: Database,
}

/// Where a catalog keeps things.
#[derive(Clone)]
struct Places {
    database_url: String,
    redis_url: String,
    bus: Bus,
    bus_url: BusUrl,
    reservation_seconds: u32,
    /// Keeps the backends alive.
    _backends: Arc<dyn Send + Sync>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

impl Places {
    /// With a bus inside the process.
    fn new(database_url: String, redis_url: String, backends: Arc<dyn Send + Sync>) -> Self {
        let bus = Bus::of_process(InProcessBroker::default().into());
        let reservation_seconds = DEFAULT_RESERVATION_SECONDS;
        Self {
            database_url,
            redis_url,
            bus,
            bus_url: BusUrl::EMBEDDED,
            reservation_seconds,
            _backends: backends,
        }
    }

    /// On SQLite, with the cache and the bus in memory.
    fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database_url = format!("sqlite:{}", folder.path().join("catalog.db").display());
        Self::new(database_url, "memory:".to_owned(), Arc::new(folder))
    }

    /// On PostgreSQL, Redis and RabbitMQ.
    async fn real() -> Option<Self> {
        let database = shop_testing::postgres().await?;
        let redis = shop_testing::redis().await?;
        let rabbitmq = shop_testing::rabbitmq().await?;
        let (database_url, redis_url) = (database.url.clone(), redis.url.clone());
        let bus_url = rabbitmq.url.parse().unwrap();
        let backends = Arc::new((database, redis, rabbitmq));
        Some(Self { bus: Bus::default(), bus_url, ..Self::new(database_url, redis_url, backends) })
    }
}

impl Shop {
    /// On SQLite, with the cache and the bus in memory.
    pub(crate) async fn embedded() -> Self {
        Self::start(Places::embedded()).await
    }

    /// On PostgreSQL, Redis and RabbitMQ.
    pub(crate) async fn real() -> Option<Self> {
        Some(Self::start(Places::real().await?).await)
    }

    /// On PostgreSQL, with a Redis that the test manages.
    pub(crate) async fn with_redis(redis_url: &str) -> Option<Self> {
        let database = shop_testing::postgres().await?;
        let database_url = database.url.clone();
        Some(Self::start(Places::new(database_url, redis_url.to_owned(), Arc::new(database))).await)
    }

    /// Another replica, on the same backends.
    pub(crate) async fn replica(&self) -> Self {
        Self::start(self.places.clone()).await
    }

    /// Another replica that reserves for so many seconds.
    pub(crate) async fn replica_that_reserves_for(&self, reservation_seconds: u32) -> Self {
        Self::start(Places { reservation_seconds, ..self.places.clone() }).await
    }

    async fn start(places: Places) -> Self {
        shop_runtime::install_crypto();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            database_url: places.database_url.parse().unwrap(),
            redis_url: places.redis_url.parse().unwrap(),
            rabbitmq_url: places.bus_url.clone(),
            reservation_seconds: places.reservation_seconds,
            consumer: ConsumerConfig::default(),
            tokens: TokenConfig::with_secret(SECRET),
        };
        let database_url = config.database_url.clone();
        let lifecycle = Lifecycle::new();
        let scope = Scope { bus: places.bus.clone(), ..Scope::new(Catalog::NAME, &lifecycle) };
        let metrics = scope.metrics.clone();
        let address = shop_runtime::start::<Catalog>(config, scope).await.unwrap();
        let settings = database::Settings::from(SCHEMA).connections(1);
        Self {
            address: format!("http://{address}"),
            client: Client::new(),
            metrics,
            lifecycle,
            places,
            database: database::lazily(&database_url, settings).unwrap(),
        }
    }

    /// Stops its tasks: it consumes nothing any more.
    pub(crate) fn stop(&self) {
        self.lifecycle.stop();
    }

    /// The bus that its events come by.
    pub(crate) fn broker(&self) -> Broker {
        self.places.bus.open(&self.places.bus_url).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address)).timeout(Duration::from_secs(20))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// The JSON of a 200 response.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// The ids of the products that `path` lists.
    pub(crate) async fn ids(&self, path: &str) -> Vec<i64> {
        let products = self.json(path).await;
        products.as_array().unwrap().iter().map(|product| product["id"].as_i64().unwrap()).collect()
    }

    /// The first page's `X-Cache`, and product `id` in it.
    pub(crate) async fn listed(&self, id: i64) -> (String, Value) {
        let response = self.get("/products").await;
        assert_eq!(response.status(), StatusCode::OK);
        let cache = response.headers()["x-cache"].to_str().unwrap().to_owned();
        let products: Vec<Value> = response.json().await.unwrap();
        (cache, products.into_iter().find(|product| product["id"] == id).unwrap_or_default())
    }

    /// Sends `body` as an admin.
    pub(crate) async fn write(&self, method: Method, path: &str, body: &Value) -> Response {
        self.request(method, path).bearer_auth(token(Role::Admin, 60)).json(body).send().await.unwrap()
    }

    /// Sets the stock of product 1.
    pub(crate) async fn set_stock(&self, stock: u64) {
        let body = json!({ "name": "Morning Mug", "price": 500.0, "category": "kitchen", "stock": stock });
        let response = self.write(Method::PUT, "/products/1", &body).await;
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// The JSON of an administrator's list.
    pub(crate) async fn books(&self, path: &str) -> Value {
        let request = self.request(Method::GET, path).bearer_auth(token(Role::Admin, 60));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// A metric, by its name and labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.split(' ').nth(1)).and_then(|value| value.parse().ok()).unwrap()
    }
}

/// A token for `role` that expires in that many seconds.
pub(crate) fn token(role: Role, expires_in: i64) -> String {
    sign(Algorithm::HS256, SECRET.as_bytes(), role, expires_in)
}

pub(crate) fn sign(algorithm: Algorithm, secret: &[u8], role: Role, expires_in: i64) -> String {
    let clock = Clock::system();
    let now = clock.now().timestamp();
    let claims = Claims {
        sub: UserId(clock.new_id()),
        email: "admin@example.com".parse().unwrap(),
        roles: vec![role],
        iat: now,
        exp: now + expires_in,
        iss: ISSUER.to_owned(),
        aud: Some(Audience::shop()),
        jti: clock.new_id(),
    };
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(secret)).unwrap()
}
