use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    kubernetes::TestCluster,
    servers::{Durability, Kind, PoolMode, Postgres, Server},
    skip::skip,
};

/// A server for one test, with the faults that [`Server`] offers, for async code.
///
/// It is killed when this is dropped, or when the test's process ends.
#[derive(Debug)]
pub struct Private {
    /// `postgres://…/postgres`, `redis://…`, `amqp://…/%2f` or `https://…`
    pub url: String,
    /// RabbitMQ's management API, as `http://user:password@host:port`; empty for other servers.
    pub management_url: String,
    server: Arc<Mutex<Server>>,
}

/// Starts a private PostgreSQL; the superuser is `shop`.
///
/// # Panics
/// Its binaries are installed, but it does not start.
pub async fn private_postgres(durability: Durability) -> Option<Private> {
    start(Kind::Postgres, move || Server::postgres(durability)).await
}

/// Starts a private PgBouncer, in front of a private PostgreSQL at `url`.
///
/// # Panics
/// Its binary is installed, but it does not start.
pub async fn private_pgbouncer(url: &str, mode: PoolMode) -> Option<Private> {
    let url = url.to_owned();
    start(Kind::PgBouncer, move || Server::pgbouncer(&url, mode)).await
}

/// Starts a private PostgreSQL with special settings.
///
/// # Panics
/// Its binaries are installed, but it does not start.
pub async fn private_postgres_like(postgres: Postgres) -> Option<Private> {
    start(Kind::Postgres, move || Server::postgres_like(&postgres)).await
}

/// Starts a private Redis.
///
/// # Panics
/// Its binaries are installed, but it does not start.
pub async fn private_redis() -> Option<Private> {
    start(Kind::Redis, Server::redis).await
}

/// Starts a private RabbitMQ, which takes a few seconds.
///
/// # Panics
/// Its binaries are installed, but it does not start.
pub async fn private_rabbitmq() -> Option<Private> {
    start(Kind::RabbitMq, Server::rabbitmq).await
}

/// Starts a private Kubernetes API with its etcd, and creates a namespace in it; takes some seconds.
///
/// A graceful stop waits up to 30 seconds for open watches; [`Private::kill9`] is the quick way.
///
/// # Panics
/// Its binaries are installed, but it does not start.
pub async fn private_kubernetes() -> Option<(Private, TestCluster)> {
    let server = start(Kind::Kubernetes, Server::kubernetes).await?;
    let kubeconfig = server.with(|server| server.kubeconfig().map(Path::to_owned)).await;
    let cluster = TestCluster::private(&kubeconfig.expect("a Kubernetes API has one")).await;
    Some((server, cluster))
}

async fn start(
    kind: Kind,
    start: impl FnOnce() -> anyhow::Result<Server> + Send + 'static,
) -> Option<Private> {
    if let Err(missing) = kind.find() {
        skip(&format!("{missing:#}"));
        return None;
    }
    let server = match blocking(start).await {
        Ok(server) => server,
        Err(error) => panic!("{error:#}"),
    };
    Some(Private {
        url: server.url().to_owned(),
        management_url: server.management_url().unwrap_or_default().to_owned(),
        server: Arc::new(Mutex::new(server)),
    })
}

impl Private {
    /// Kills all of its processes at once, as a power cut would.
    pub async fn kill9(&self) {
        self.with(Server::kill9).await;
    }

    /// Stops it gracefully.
    pub async fn shut_down(&self) {
        self.with(Server::shut_down).await;
    }

    /// Starts it again after [`Private::kill9`] or [`Private::shut_down`], on the same port and data.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(&self) {
        if let Err(error) = self.with(Server::start).await {
            panic!("{error:#}");
        }
    }

    /// Whether all of its processes are running; frozen ones count as running.
    pub async fn is_alive(&self) -> bool {
        self.with(Server::is_alive).await
    }

    /// Stops all of its processes with SIGSTOP: connections stay open, and nothing answers.
    pub async fn freeze(&self) {
        self.with(|server| server.freeze()).await;
    }

    /// Continues a frozen server.
    pub async fn thaw(&self) {
        self.with(|server| server.thaw()).await;
    }

    /// Gives the folder `path` to the user that the server runs as.
    ///
    /// # Panics
    /// The owner cannot be changed.
    pub async fn give(&self, path: &Path) {
        let path = path.to_owned();
        if let Err(error) = self.with(move |server| server.give(&path)).await {
            panic!("{error:#}");
        }
    }

    /// Runs `rabbitmqctl` on a RabbitMQ: `&["set_vm_memory_high_watermark", "0"]` raises its memory alarm.
    ///
    /// # Panics
    /// The command fails.
    pub async fn rabbitmqctl(&self, arguments: &'static [&'static str]) {
        if let Err(error) = self.with(|server| server.rabbitmqctl(arguments)).await {
            panic!("{error:#}");
        }
    }

    async fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut Server) -> T + Send + 'static) -> T {
        let server = self.server.clone();
        blocking(move || act(&mut server.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
