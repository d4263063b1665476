//! Publishes outboxes in a process of its own. Many instances may run; for each outbox one at a time is the leader and publishes. It is
//! either the outbox that environment variables name, where the database's lease decides who is the leader ([`OutboxController`]), or
//! the outboxes that Kubernetes objects describe, each with a Lease of its own ([`KubernetesController`]).

mod config;
mod duration;
mod election;
mod following;
mod kubernetes;
#[cfg(test)]
mod limits;
pub mod object;
mod outbox;
mod tools;

use std::net::SocketAddr;

use axum::Router;
use shop_messaging::{EventLog, PublisherOptions};
use shop_outbox::{OutboxMetrics, Publisher};
use shop_runtime::{
    Scope, Service,
    database::{self, Database},
    health::Health,
    http,
};
use tokio::sync::watch;

pub use config::{Config, DatabaseConfig};
pub use kubernetes::{KubernetesConfig, KubernetesController};
pub use tools::Tool;

/// The publisher as a service.
pub struct OutboxController;

impl Service for OutboxController {
    const NAME: &'static str = "outbox_publisher";
    const ABOUT: &'static str = "Carries the committed events of an outbox to RabbitMQ, in order and without losing any. With `kubernetes` as the first \
         argument it publishes the outboxes that the OutboxPublisher objects of a namespace describe, and reads other variables";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let schema = &config.database.schema;
        let database = database::connect(&config.database.database_url, outbox::sessions(schema)).await?;
        database::follow(&database, &config.database.database_url, &scope);
        let transport = scope.bus.open(&config.rabbitmq_url)?.publisher(PublisherOptions {
            event_log: (config.event_log != "none").then(|| EventLog::new(config.event_log.clone())),
            fence: Some(outbox::fence(&config.exchange, &config.database.database_url, schema)),
            heartbeat: Some(outbox::heartbeat(config.lease())),
            ..PublisherOptions::new(config.exchange.clone(), scope.name)
        });
        let metrics = OutboxMetrics::default();
        scope.metrics.register(|registry| metrics.register(registry));

        let holder = format!("{}/{}", scope.name, scope.clock.new_id());
        let store = outbox::store(&database);
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

/// Ready means: at work, or able to take over. A broker that is away only degrades, because the publisher waits for it.
fn depends_on(health: &Health, database: &Database, progress: watch::Receiver<shop_outbox::Progress>) {
    health.requires("database", database.readiness());
    health.uses("publishing", move || {
        let trouble = progress.borrow().trouble.clone();
        async move { trouble.map_or(Ok(()), |trouble| Err(trouble.into())) }
    });
}
