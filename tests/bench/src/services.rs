//! The shop's services as compose runs them: one process each, on the real backends, with JSON logs.

use std::path::Path;

use anyhow::Context as _;
use shop_testing::{
    TestBroker, TestDatabase, TestRedis,
    shop::{self, Part, Plan},
};

use crate::process::{Process, free_address};

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

    /// Their addresses.
    pub(crate) fn addresses(&self) -> shop::Backends<'_> {
        let Self { postgres, redis, rabbitmq } = self;
        shop::Backends { postgres: &postgres.url, redis: &redis.url, rabbitmq: &rabbitmq.url }
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
        let mut plan = Plan::new(&backends.addresses(), folder)?;
        plan.part_mut("order").set("ORDER_GUEST_ORDERS_PER_MINUTE", "0");
        let telegram = telegram(&plan, backends)?;
        plan.parts.push(telegram);
        let (mut catalog, mut order, mut others) = (None, None, Vec::new());
        for part in &plan.parts {
            let process = started(binaries, folder, part).await?;
            match part.name {
                "catalog" => catalog = Some(process),
                "order" => order = Some(process),
                _ => others.push(process),
            }
        }
        let (catalog, order) = catalog.zip(order).context("a shop without a catalog or orders")?;
        Ok(Self { catalog, order, others })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Process> {
        [&self.catalog, &self.order].into_iter().chain(&self.others)
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = Process> {
        [self.catalog, self.order].into_iter().chain(self.others)
    }
}

/// The bot, which waits for a token.
fn telegram(plan: &Plan, backends: &Backends) -> anyhow::Result<Part> {
    let address = free_address()?;
    let url = |name| plan.part(name).url();
    let variables = vec![
        ("TELEGRAM_LISTEN", address.to_string()),
        ("TELEGRAM_AUTH_URL", url("auth")),
        ("TELEGRAM_CATALOG_URL", url("catalog")),
        ("TELEGRAM_ORDER_URL", url("order")),
        ("TELEGRAM_REDIS_URL", backends.redis.url.clone()),
    ];
    Ok(Part { name: "telegram", binary: "telegram", address, variables })
}

/// Starts a part of a shop, and waits until it is ready.
pub(crate) async fn started(binaries: &Path, folder: &Path, part: &Part) -> anyhow::Result<Process> {
    let common = [("LOG_FORMAT", "json"), ("RUST_LOG", "info")];
    let own = part.variables.iter().map(|(name, value)| (*name, value.as_str()));
    let environment: Vec<(&str, &str)> = common.into_iter().chain(own).collect();
    let binary = binaries.join(part.binary);
    Process::start(part.name, &binary, &[], &environment, (part.address, "/readyz"), folder).await
}
