//! The shop's services as compose runs them: one process each, on the real backends, with JSON logs.

use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use shop_testing::{TestBroker, TestDatabase, TestRedis};

use crate::process::{Process, free_address};

const JWT_SECRET: &str = "a secret for measurements, as long as HS256 wants it to be";
const SESSION_SECRET: &str = "another secret for measurements, for the storefront's cookies";

/// Empty places on the real backends; removed when this is dropped.
pub(crate) struct Backends {
    pub(crate) postgres: TestDatabase,
    pub(crate) redis: TestRedis,
    rabbitmq: TestBroker,
}

impl Backends {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let missing = "run `cargo xtask bench`";
        Ok(Self {
            postgres: shop_testing::postgres().await.context(missing)?,
            redis: shop_testing::redis().await.context(missing)?,
            rabbitmq: shop_testing::rabbitmq().await.context(missing)?,
        })
    }
}

/// Running services.
pub(crate) struct Services {
    pub(crate) catalog: Process,
    pub(crate) order: Process,
    /// Services that no measured request needs.
    pub(crate) others: Vec<Process>,
}

impl Services {
    /// Starts all services from the folder `binaries`, with their logs in `folder`, and waits until each is ready.
    pub(crate) async fn start(binaries: &Path, folder: &Path, backends: &Backends) -> anyhow::Result<Self> {
        let starter = Starter { binaries, folder };
        let [postgres, redis, rabbitmq] =
            [&backends.postgres.url, &backends.redis.url, &backends.rabbitmq.url].map(String::as_str);
        let secret = ("AUTH_JWT_SECRET", JWT_SECRET);

        let environment = [("AUTH_DATABASE_URL", postgres), secret];
        let auth = starter.start("auth_service", "auth", "AUTH_LISTEN", &environment).await?;

        let environment = [("CATALOG_DATABASE_URL", postgres), ("CATALOG_REDIS_URL", redis), secret];
        let catalog = starter.start("catalog_service", "catalog", "CATALOG_LISTEN", &environment).await?;

        let catalog_url = catalog.url();
        let environment = [
            ("ORDER_DATABASE_URL", postgres),
            ("ORDER_CATALOG_URL", &catalog_url),
            ("ORDER_GUEST_CHECKOUT", "true"),
            ("ORDER_GUEST_ORDERS_PER_MINUTE", "0"),
            secret,
        ];
        let order = starter.start("order_service", "order", "ORDER_LISTEN", &environment).await?;

        let (auth_url, order_url) = (auth.url(), order.url());
        let environment = [
            ("WEB_SESSION_SECRET", SESSION_SECRET),
            ("WEB_AUTH_URL", &auth_url),
            ("WEB_CATALOG_URL", &catalog_url),
            ("WEB_ORDER_URL", &order_url),
        ];
        let web = starter.start("web_app", "web", "WEB_LISTEN", &environment).await?;

        let environment = [
            ("TELEGRAM_AUTH_URL", auth_url.as_str()),
            ("TELEGRAM_CATALOG_URL", &catalog_url),
            ("TELEGRAM_ORDER_URL", &order_url),
            ("TELEGRAM_REDIS_URL", redis),
        ];
        let telegram = starter.start("telegram_bot", "telegram", "TELEGRAM_LISTEN", &environment).await?;

        let environment = [("OUTBOX_DATABASE_URL", postgres), ("OUTBOX_RABBITMQ_URL", rabbitmq)];
        let publisher =
            starter.start("outbox_publisher", "outbox-controller", "OUTBOX_LISTEN", &environment).await?;

        Ok(Self { catalog, order, others: vec![auth, web, telegram, publisher] })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Process> {
        [&self.catalog, &self.order].into_iter().chain(&self.others)
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = Process> {
        [self.catalog, self.order].into_iter().chain(self.others)
    }
}

struct Starter<'a> {
    binaries: &'a Path,
    folder: &'a Path,
}

impl Starter<'_> {
    async fn start(
        &self,
        name: &'static str,
        binary: &str,
        listen: &str,
        own: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let address: SocketAddr = free_address()?;
        let address_text = address.to_string();
        let common = [(listen, address_text.as_str()), ("LOG_FORMAT", "json"), ("RUST_LOG", "info")];
        let environment = [&common, own].concat();
        let binary = self.binaries.join(binary);
        Process::start(name, &binary, &[], &environment, (address, "/readyz"), self.folder).await
    }
}
