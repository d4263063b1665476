//! The whole shop and its backends, all of which this run may break.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use shop_client::{Auth, Books, Catalog, Description, OnBehalf};
use shop_load::{Addresses, Admin};
use shop_runtime::config::{ExposeSecret as _, SecretString};
use shop_testing::{
    Private, private_postgres, private_rabbitmq, private_redis,
    servers::Durability,
    shop::{ADMIN_EMAIL, ADMIN_PASSWORD, Backends, Plan},
};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

use super::fault::{Kind, Planned};
use crate::{
    breaking::{end_sessions, freeze, kill},
    controller::until,
    kubelet::{Kubelet, Service},
};

/// How long recovery may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// When an order that nobody confirms is cancelled: short, so that it happens in every longer outage of the provider.
const PENDING_TIMEOUT: Duration = Duration::from_secs(20);
/// When a reservation ends: longer than that, as in the real configuration.
const RESERVATION: Duration = Duration::from_secs(40);

/// Products whose kopecks make the simulated provider decline, be slow, fail twice, and charge without an answer.
const TROUBLE: [(&str, &str); 4] =
    [("Declined", "10.01"), ("Slow", "20.02"), ("Fails twice", "30.03"), ("Times out", "40.04")];
/// A product of which there is never enough.
const SCARCE: (&str, &str) = ("Scarce", "50.00");

pub(crate) struct Place {
    postgres: Private,
    redis: Private,
    pub(crate) rabbitmq: Private,
    kubelet: Kubelet,
    pub(crate) addresses: Addresses,
}

impl Place {
    pub(crate) async fn open(binaries: &Path, folder: &Path) -> anyhow::Result<Self> {
        let missing = "it is not installed; `cargo xtask` installs what it can";
        let postgres = private_postgres(Durability::Durable).await.context("PostgreSQL").context(missing)?;
        let rabbitmq = private_rabbitmq().await.context("RabbitMQ").context(missing)?;
        let redis = private_redis().await.context("Redis").context(missing)?;
        let backends = Backends { postgres: &postgres.url, redis: &redis.url, rabbitmq: &rabbitmq.url };
        let mut plan = Plan::new(&backends, folder)?;
        // Nobody looks at pages.
        plan.parts.retain(|part| part.name != "web");
        for (part, name, value) in [
            ("order", "ORDER_GUEST_ORDERS_PER_MINUTE", 0),
            ("order", "ORDER_PENDING_TIMEOUT_SECONDS", PENDING_TIMEOUT.as_secs()),
            ("catalog", "CATALOG_RESERVATION_SECONDS", RESERVATION.as_secs()),
        ] {
            plan.part_mut(part).set(name, value.to_string());
        }
        let addresses = addresses_of(&plan)?;
        let services = plan.parts.into_iter().map(|part| Service::of(binaries, folder, part)).collect();
        let place = Self { postgres, redis, rabbitmq, kubelet: Kubelet::start(services)?, addresses };
        place.calm().await?;
        place.open_the_shelves().await?;
        Ok(place)
    }

    /// Adds products that make trouble.
    async fn open_the_shelves(&self) -> anyhow::Result<()> {
        let http = shop_client::http()?;
        let catalog = Catalog::new(&self.addresses.catalog_url, &http);
        let token = self.admin_token().await?;
        let all = TROUBLE.into_iter().map(|product| (product, 1_000_000)).chain([(SCARCE, 25)]);
        for ((name, price), stock) in all {
            let description = Description {
                name,
                description: "",
                price: price.parse()?,
                category: "trouble",
                stock: Some(stock),
            };
            catalog.create(&token, &description).await?;
        }
        Ok(())
    }

    async fn admin_token(&self) -> anyhow::Result<String> {
        let auth = Auth::new(&self.addresses.auth_url, &shop_client::http()?);
        let token = auth.log_in(&ADMIN_EMAIL.parse()?, ADMIN_PASSWORD, OnBehalf::OURSELVES).await?;
        Ok(token.access_token.expose_secret().to_owned())
    }

    /// Makes `fault` happen. Afterwards it is over, but its effects may not be.
    pub(crate) async fn suffer(&self, fault: Planned) -> anyhow::Result<()> {
        let Planned { kind, lasts } = fault;
        if let Some(victim) = kind.victim() {
            return self.kubelet.kill(victim);
        }
        match kind {
            Kind::BrokerKilled => kill(&self.rabbitmq, lasts).await,
            Kind::BrokerFrozen => freeze(&self.rabbitmq, lasts).await,
            Kind::DatabaseKilled => kill(&self.postgres, lasts).await,
            Kind::DatabaseFrozen => freeze(&self.postgres, lasts).await,
            Kind::SessionsEnded => end_sessions(self.database().await?).await?,
            Kind::RedisKilled => kill(&self.redis, lasts).await,
            _ => self.lose_the_provider(lasts).await?,
        }
        Ok(())
    }

    async fn lose_the_provider(&self, lasts: Duration) -> anyhow::Result<()> {
        self.switch_the_provider(true).await?;
        sleep(lasts).await;
        self.switch_the_provider(false).await
    }

    /// Again and again, because payment_service may not answer at once.
    async fn switch_the_provider(&self, off: bool) -> anyhow::Result<()> {
        let http = shop_client::http()?;
        let Addresses { catalog_url, payment_url, notification_url, .. } = &self.addresses;
        let books = Books::new(catalog_url, payment_url, notification_url, &http);
        until("the provider is switched", PATIENCE, async || match self.admin_token().await {
            Ok(token) => books.switch_outage(&token, off).await.is_ok(),
            Err(_) => false,
        })
        .await
    }

    /// Waits until all services are ready.
    pub(crate) async fn calm(&self) -> anyhow::Result<()> {
        let calm = until("everything is ready", PATIENCE, async || self.kubelet.unready().await.is_empty());
        if let Err(error) = calm.await {
            return Err(error.context(format!("not ready: {:?}", self.kubelet.unready().await)));
        }
        Ok(())
    }

    pub(crate) async fn database(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.postgres.url).await?)
    }

    /// Stops the services gracefully.
    pub(crate) async fn strike(self) -> anyhow::Result<()> {
        self.kubelet.stop().await
    }
}

/// Where the services of a planned shop are.
pub(crate) fn addresses_of(plan: &Plan) -> anyhow::Result<Addresses> {
    let url = |name| anyhow::Ok(plan.part(name).url().parse()?);
    Ok(Addresses {
        auth_url: url("auth")?,
        catalog_url: url("catalog")?,
        order_url: url("order")?,
        payment_url: url("payment")?,
        notification_url: url("notification")?,
    })
}

/// The shop's administrator.
pub(crate) fn admin() -> anyhow::Result<Admin> {
    Ok(Admin {
        admin_email: ADMIN_EMAIL.parse()?,
        admin_password: Some(SecretString::from(ADMIN_PASSWORD)),
        secrets: Default::default(),
    })
}
