//! The shop and all its backends.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use shop_testing::{Private, private_pgbouncer, private_rabbitmq, private_redis, servers::PoolMode};
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use super::{
    fault::{Kind, Planned},
    pair::{Pair, ROLE},
    proxies::Proxies,
};
use crate::{
    breaking::{end_sessions, freeze, kill},
    controller::until,
    kubelet::{Kubelet, Service},
    outbox::broker::Broker,
};

/// The exchange, and the queue that keeps everything published there.
pub(crate) const EXCHANGE: &str = "shop_events";
const JWT_SECRET: &str = "a secret for a soak, at least as long as HS256 wants it to be";
const SESSION_SECRET: &str = "another secret for a soak, for the storefront's own cookies";

/// How long recovery may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Place {
    pub(crate) pair: Pair,
    pub(crate) proxies: Proxies,
    /// In front of the switch, in session mode.
    pooler: Private,
    redis: Private,
    rabbitmq: Private,
    kubelet: Kubelet,
    secrets: Secrets,
    rotations: u32,
}

/// The file from which the services read the database's URL.
struct Secrets {
    file: PathBuf,
    /// `127.0.0.1:<port>/postgres`
    database: String,
}

impl Secrets {
    /// Replaces the URL atomically, as the kubelet does.
    fn write(&self, password: &str) -> anyhow::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("postgresql://{ROLE}:{password}@{}\n", self.database))?;
        Ok(fs::rename(new, &self.file)?)
    }
}

impl Place {
    pub(crate) async fn open(binaries: &Path, folder: &Path) -> anyhow::Result<Self> {
        let password = Uuid::new_v4().simple().to_string();
        let missing = "it is not installed; `cargo xtask` installs what it can";
        let rabbitmq = private_rabbitmq().await.context("RabbitMQ").context(missing)?;
        let redis = private_redis().await.context("Redis").context(missing)?;
        let pair = Pair::open(&password).await?;
        let proxies = Proxies::listen().await?;
        let (_, database) = pair.switch.url().split_once('@').context("a URL without a user")?;
        let secrets = Secrets { file: folder.join("database-url"), database: database.to_owned() };
        secrets.write(&password)?;
        // The queue exists before the first event, so that none of them is returned.
        drop(Broker::open(&rabbitmq.url, EXCHANGE).await?);
        let pooler = async |mode| {
            private_pgbouncer(pair.switch.url(), mode).await.context("PgBouncer").context(missing)
        };
        let sharing = pooler(PoolMode::Transaction).await?;
        let pooler = pooler(PoolMode::Session).await?;
        let shop = Shop {
            binaries,
            folder,
            secrets: &secrets,
            redis: &redis,
            rabbitmq: &rabbitmq,
            proxies: &proxies,
        };
        refuses(&shop.order("http://127.0.0.1:9".to_owned(), &sharing)?).await?;
        let kubelet = Kubelet::start(shop.services(&pooler)?)?;
        Ok(Self { pair, proxies, pooler, redis, rabbitmq, kubelet, secrets, rotations: 0 })
    }

    pub(crate) fn auth(&self) -> SocketAddr {
        self.kubelet.services[0].address
    }

    pub(crate) fn order(&self) -> SocketAddr {
        self.kubelet.services[2].address
    }

    pub(crate) fn rabbitmq(&self) -> &str {
        &self.rabbitmq.url
    }

    /// The faults that are not possible here, and why.
    pub(crate) fn cannot(&self) -> Vec<(Kind, &'static str)> {
        let mut left_out = Vec::new();
        if !self.pair.has_small_disks() {
            left_out.push((Kind::DiskFull, "only root can mount a small disk"));
        }
        left_out
    }

    /// Makes `fault` happen. Afterwards it is over, but its effects may not be.
    pub(crate) async fn suffer(&mut self, fault: Planned) -> anyhow::Result<()> {
        let lasts = fault.lasts;
        match fault.kind {
            Kind::FailedOver => self.pair.fail_over().await?,
            Kind::SwitchedOver => self.pair.switch_over(2 * lasts).await?,
            Kind::DatabaseFrozen => freeze(self.pair.primary(), lasts).await,
            Kind::DatabaseKilled => kill(self.pair.primary(), lasts).await,
            Kind::DiskFull => self.pair.fill_the_disk(lasts).await?,
            Kind::SessionsEnded => self.end_sessions().await?,
            Kind::PasswordRotated => self.rotate_the_password().await?,
            Kind::RedisFrozen => freeze(&self.redis, lasts).await,
            Kind::RedisKilled => kill(&self.redis, lasts).await,
            Kind::BrokerFrozen => freeze(&self.rabbitmq, lasts).await,
            Kind::BrokerKilled => kill(&self.rabbitmq, lasts).await,
            Kind::PoolerFrozen => freeze(&self.pooler, lasts).await,
            Kind::PoolerKilled => kill(&self.pooler, lasts).await,
        }
        Ok(())
    }

    async fn end_sessions(&self) -> anyhow::Result<()> {
        end_sessions(self.pair.connect().await?).await
    }

    /// As an operator, or their automation, does it: the role first, then the Secret; no session survives.
    async fn rotate_the_password(&mut self) -> anyhow::Result<()> {
        self.rotations += 1;
        let password = format!("{}-{}", Uuid::new_v4().simple(), self.rotations);
        let mut connection = self.pair.connect().await?;
        let alter = format!("ALTER ROLE {ROLE} PASSWORD '{password}'");
        sqlx::raw_sql(AssertSqlSafe(alter)).execute(&mut connection).await?;
        self.secrets.write(&password)?;
        connection.close().await?;
        self.end_sessions().await
    }

    /// Waits until all services are ready and nothing waits to be published.
    pub(crate) async fn calm(&self) -> anyhow::Result<()> {
        let calm = until("everything is as before", PATIENCE, async || {
            self.pair.revive().await;
            self.kubelet.unready().await.is_empty()
                && self.lag().await.is_ok_and(|lag| lag < Duration::from_secs(1))
        });
        if let Err(error) = calm.await {
            let (unready, lag) = (self.kubelet.unready().await, self.lag().await);
            return Err(error.context(format!("not ready: {unready:?}; the oldest event waits for {lag:?}")));
        }
        Ok(())
    }

    /// Fills the shelves, so that no order is refused for what others have bought.
    pub(crate) async fn restock(&self) -> anyhow::Result<()> {
        let mut connection = self.pair.connect().await?;
        let fill = "UPDATE catalog.stock SET received = received + 1000000, on_hand = on_hand + 1000000";
        sqlx::query(fill).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// How long the oldest event has been waiting.
    async fn lag(&self) -> anyhow::Result<Duration> {
        let mut connection = self.pair.connect().await?;
        let oldest = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
                      FROM orders.outbox_messages WHERE status = 'pending'";
        let seconds: f64 = sqlx::query_scalar(oldest).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(Duration::from_secs_f64(seconds.max(0.0)))
    }

    /// Stops the services gracefully.
    pub(crate) async fn strike(self) -> anyhow::Result<()> {
        self.kubelet.stop().await
    }
}

/// A pooler that shares sessions among its clients is refused, with a clear error.
async fn refuses(order: &Service) -> anyhow::Result<()> {
    let said = order.refuses(PATIENCE).await?;
    anyhow::ensure!(said.contains("session"), "it does not say what is wrong with the pooler: {said}");
    println!("PgBouncer in transaction mode is refused.");
    Ok(())
}

/// The services' configuration.
struct Shop<'a> {
    binaries: &'a Path,
    folder: &'a Path,
    secrets: &'a Secrets,
    redis: &'a Private,
    rabbitmq: &'a Private,
    proxies: &'a Proxies,
}

impl Shop<'_> {
    /// auth, catalog, order, web and the publisher, as compose configures them. Orders go through the pooler.
    fn services(&self, pooler: &Private) -> anyhow::Result<Vec<Service>> {
        let database = self.secrets.file.to_string_lossy().into_owned();
        let auth = self
            .service(("auth", "AUTH_LISTEN"), vec![("AUTH_DATABASE_URL_FILE", database.clone()), secret()])?;
        let catalog = self.service(
            ("catalog", "CATALOG_LISTEN"),
            vec![
                ("CATALOG_DATABASE_URL_FILE", database.clone()),
                ("CATALOG_REDIS_URL", self.redis.url.clone()),
                ("CATALOG_RABBITMQ_URL", self.rabbitmq.url.clone()),
                secret(),
            ],
        )?;
        let order = self.order(catalog.url(), pooler)?;
        let web = self.service(
            ("web", "WEB_LISTEN"),
            vec![
                ("WEB_SESSION_SECRET", SESSION_SECRET.to_owned()),
                ("WEB_AUTH_URL", auth.url()),
                ("WEB_CATALOG_URL", catalog.url()),
                ("WEB_ORDER_URL", order.url()),
            ],
        )?;
        let publisher = self.service(
            ("outbox-controller", "OUTBOX_LISTEN"),
            vec![("OUTBOX_DATABASE_URL_FILE", database), ("OUTBOX_RABBITMQ_URL", self.rabbitmq.url.clone())],
        )?;
        Ok(vec![auth, catalog, order, web, publisher])
    }

    fn order(&self, catalog: String, pooler: &Private) -> anyhow::Result<Service> {
        let names = ("order", "ORDER_LISTEN");
        self.service(
            names,
            vec![
                ("ORDER_DATABASE_URL", pooler.url.clone()),
                ("ORDER_RABBITMQ_URL", self.rabbitmq.url.clone()),
                ("ORDER_CATALOG_URL", catalog),
                secret(),
            ],
        )
    }

    fn service(
        &self,
        names: (&'static str, &'static str),
        own: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Service> {
        Service::new(self.binaries, self.folder, names, own.into_iter().chain(self.proxies.environment()))
    }
}

fn secret() -> (&'static str, String) {
    ("AUTH_JWT_SECRET", JWT_SECRET.to_owned())
}
