//! Publishes outboxes in a separate process. Many instances may run; for each outbox one at a time is the leader and publishes. It is
//! either the outbox that environment variables name, where the database's lease decides who is the leader ([`OutboxController`]), or
//! the outboxes that Kubernetes objects describe, each with its own Lease ([`KubernetesController`]).

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
use shop_outbox::{OutboxMetrics, OutboxMetricsFamily, Publisher};
use shop_runtime::{
    Scope, Service,
    database::{self, Database},
    health::Health,
    http,
};
use tokio::sync::watch;

pub use config::{Config, DatabaseConfig, OutboxConfig};
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
        let family = OutboxMetricsFamily::default();
        if config.outboxes().any(|outbox| outbox.name.is_some()) {
            scope.metrics.register(|registry| family.register(registry));
        }
        for outbox in config.outboxes() {
            let metrics = match outbox.name {
                Some(name) => family.of(name),
                None => {
                    let metrics = OutboxMetrics::default();
                    scope.metrics.register(|registry| metrics.register(registry));
                    metrics
                }
            };
            publish(outbox, metrics, &scope).await?;
        }
        let router = http::router(Router::new(), &scope, http::Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }
}

/// Publishes one outbox, until the process stops.
async fn publish(outbox: &OutboxConfig, metrics: OutboxMetrics, scope: &Scope) -> anyhow::Result<()> {
    let DatabaseConfig { database_url, schema } = &outbox.database;
    let database = database::connect(database_url, outbox::sessions(schema)).await?;
    database::follow(&database, database_url, scope);
    let transport = scope.bus.open(&outbox.rabbitmq_url)?.publisher(PublisherOptions {
        event_log: (outbox.event_log != "none").then(|| EventLog::new(outbox.event_log.clone())),
        required_queues: outbox.required_queues.clone(),
        fence: Some(outbox::fence(&outbox.exchange, database_url, schema)),
        heartbeat: Some(outbox::heartbeat(outbox.lease())),
        ..PublisherOptions::new(outbox.exchange.clone(), scope.name)
    });
    let holder = format!("{}/{}", scope.name, scope.clock.new_id());
    let publisher = Publisher::new(outbox::store(&database), transport, outbox.options(holder), metrics);
    depends_on(&scope.health, outbox.name, &database, publisher.progress());
    let stopping = scope.lifecycle.stopping();
    scope.lifecycle.spawn("outbox publisher", async move {
        publisher.run(stopping).await;
        Ok(())
    });
    Ok(())
}

/// Ready means: at work, or able to take over. A broker that is away only degrades, because the publisher waits for it.
fn depends_on(
    health: &Health,
    outbox: Option<&str>,
    database: &Database,
    progress: watch::Receiver<shop_outbox::Progress>,
) {
    let named = |what: &str| outbox.map_or_else(|| what.to_owned(), |outbox| format!("{outbox}_{what}"));
    health.requires(named("database"), database.readiness());
    health.uses(named("publishing"), move || {
        let trouble = progress.borrow().trouble.clone();
        async move { trouble.map_or(Ok(()), |trouble| Err(trouble.into())) }
    });
}
