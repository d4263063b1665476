//! Publishes outboxes as a process of its own, one instance of many at a time: the one that environment variables name, with
//! the database as referee ([`OutboxController`]), or those that Kubernetes objects describe ([`KubernetesController`]).

mod config;
mod duration;
mod election;
mod following;
mod kubernetes;
#[cfg(test)]
mod limits;
pub mod object;
mod tools;

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use sha2::{Digest as _, Sha256};
use shop_messaging::{EventLog, PublisherOptions};
use shop_outbox::{OutboxMetrics, Publisher, Store};
use shop_runtime::{
    Scope, Service,
    config::DatabaseUrl,
    database::{self, Database, Settings},
    health::Health,
    http,
};
use tokio::sync::watch;

pub use config::{Config, DatabaseConfig};
pub use kubernetes::{KubernetesConfig, KubernetesController};
pub use tools::Tool;

/// The name under which publishers of the orders' outbox exclude each other, in its database and at the broker.
const PUBLISHER: &str = "publisher";

/// Connections to an outbox's database, at most.
const CONNECTIONS: u32 = 5;

/// The publisher as a service.
pub struct OutboxController;

impl Service for OutboxController {
    const NAME: &'static str = "outbox_publisher";
    const ABOUT: &'static str = "Carries the committed events of an outbox to RabbitMQ, in order, losing none. With the word `kubernetes` before all \
         else it publishes what the OutboxPublisher objects of a namespace describe, and has other variables";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let schema = &config.database.schema;
        let database = database::connect(&config.database.database_url, sessions(schema)).await?;
        database::follow(&database, &config.database.database_url, &scope);
        let transport = scope.bus.open(&config.rabbitmq_url)?.publisher(PublisherOptions {
            event_log: (config.event_log != "none").then(|| EventLog::new(config.event_log.clone())),
            fence: Some(fence(&config.exchange, &config.database.database_url, schema)),
            heartbeat: Some(heartbeat(config.lease())),
            ..PublisherOptions::new(config.exchange.clone(), scope.name)
        });
        let metrics = OutboxMetrics::default();
        scope.metrics.register(|registry| metrics.register(registry));

        let holder = format!("{}/{}", scope.name, scope.clock.new_id());
        let store = store(&database);
        let publisher = Publisher::new(store, transport, config.options(holder), metrics);
        depends_on(&scope.health, &database, publisher.progress());
        let stopping = scope.lifecycle.stopping();
        scope.lifecycle.spawn("outbox publisher", async move {
            publisher.run(stopping).await;
            Ok(())
        });
        let router = http::router(Router::new(), &scope, http::Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}

/// How sessions are opened to the outbox in `schema`: marks, claims, chores, and one that listens.
fn sessions(schema: &str) -> Settings {
    Settings::from(schema).session(&shop_outbox::SESSION).connections(CONNECTIONS)
}

/// The outbox in `database`.
fn store(database: &Database) -> Store {
    let known = database.clone();
    Store::new(database.connection().clone(), PUBLISHER).refusing(move || known.trouble())
}

/// The queue that publishers of one outbox exclude each other by, at their broker: told apart by the database, whose whole address
/// would be too long and is nobody's business.
fn fence(exchange: &str, database: &DatabaseUrl, schema: &str) -> String {
    let digest = Sha256::digest(database.place());
    let place: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{exchange}.{schema}.{PUBLISHER}.{place}")
}

/// A leader that is cut off or stopped loses the broker's fence about when it loses its lease.
fn heartbeat(lease: Duration) -> Duration {
    Duration::from_secs((lease.as_secs() / 2).max(2))
}

/// Ready means: able to take over or at work. A broker that is away is waited for, so it only degrades.
fn depends_on(health: &Health, database: &Database, progress: watch::Receiver<shop_outbox::Progress>) {
    health.requires("database", database.readiness());
    health.uses("publishing", move || {
        let trouble = progress.borrow().trouble.clone();
        async move { trouble.map_or(Ok(()), |trouble| Err(trouble.into())) }
    });
}
