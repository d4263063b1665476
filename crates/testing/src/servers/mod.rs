//! Private PostgreSQL, Redis, RabbitMQ, Kubernetes API and ChromeDriver processes, started from local binaries.
//!
//! Each listens on a free loopback port and keeps its data in its own folder, which is removed with it. It ends with the
//! process that started it, however that ends.

mod chromedriver;
mod faketime;
mod find;
mod folder;
mod kubernetes;
mod pgbouncer;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
mod server;

pub use chromedriver::Browser;
pub use faketime::faketime;
pub use find::on_path;
pub use kubernetes::kubectl;
pub use pgbouncer::{PoolMode, pgbouncer};
pub use postgres::{Durability, Postgres};
pub use process::{ending_with_us, spawn};
pub use server::Server;
use server::on_free_ports;

/// The kind of a server, and whether its binaries are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL 15 or later.
    Postgres,
    /// PgBouncer, to put in front of a PostgreSQL.
    PgBouncer,
    /// Redis 7 or later.
    Redis,
    /// RabbitMQ 3.10 or later, with its management and Prometheus plugins.
    RabbitMq,
    /// The API of Kubernetes 1.20 or later: kube-apiserver with its etcd, from the folder that `KUBEBUILDER_ASSETS` names.
    Kubernetes,
    /// ChromeDriver and the Chromium that it drives.
    Chromium,
    /// Not a server, but found in the same ways: the library that fakes a process's wall clock.
    Faketime,
}

impl Kind {
    /// Whether the local binaries suffice to start one.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn find(self) -> anyhow::Result<()> {
        match self {
            Self::Postgres => postgres::Binaries::find().map(drop),
            Self::PgBouncer => pgbouncer().map(drop),
            Self::Redis => redis::find().map(drop),
            Self::RabbitMq => rabbitmq::Binaries::find().map(drop),
            Self::Kubernetes => kubernetes::Binaries::find().map(drop),
            Self::Chromium => Browser::find().map(drop),
            Self::Faketime => faketime().map(drop),
        }
    }
}

impl Server {
    /// Starts PostgreSQL. The superuser is `shop`, without a password.
    ///
    /// # Errors
    /// The binaries are missing, or it does not start; then the error contains the end of its log.
    pub fn postgres(durability: Durability) -> anyhow::Result<Self> {
        Self::postgres_like(&Postgres::new(durability))
    }

    /// Starts a PostgreSQL with special settings.
    ///
    /// # Errors
    /// As [`Server::postgres`].
    pub fn postgres_like(postgres: &Postgres) -> anyhow::Result<Self> {
        on_free_ports(|| postgres::server(postgres))
    }

    /// Starts PgBouncer in front of the PostgreSQL of [`Server::postgres`] at `url`.
    ///
    /// # Errors
    /// As [`Server::postgres`].
    pub fn pgbouncer(url: &str, mode: PoolMode) -> anyhow::Result<Self> {
        on_free_ports(|| pgbouncer::server(url, mode))
    }

    /// Starts Redis, without persistence, with 1024 databases.
    ///
    /// # Errors
    /// As [`Server::postgres`].
    pub fn redis() -> anyhow::Result<Self> {
        on_free_ports(redis::server)
    }

    /// Starts RabbitMQ, with its management API. The user is `guest`, the password too.
    ///
    /// # Errors
    /// As [`Server::postgres`].
    pub fn rabbitmq() -> anyhow::Result<Self> {
        on_free_ports(rabbitmq::server)
    }

    /// Starts the Kubernetes API, with RBAC, but without nodes and controllers; takes some seconds.
    /// [`Server::kubeconfig`] is its admin's.
    ///
    /// # Errors
    /// As [`Server::postgres`].
    pub fn kubernetes() -> anyhow::Result<Self> {
        on_free_ports(kubernetes::server)
    }

    /// Starts ChromeDriver.
    ///
    /// # Errors
    /// As [`Server::postgres`].
    pub fn chromedriver(browser: &Browser) -> anyhow::Result<Self> {
        on_free_ports(|| chromedriver::server(browser))
    }
}
