//! The order service: accepts orders at the catalog's prices, follows what other services do about them, and publishes what happens to them.
//!
//! An order and the event that announces it are written in one transaction, and the outbox's publisher carries the event to the
//! broker. So no event is sent for an order that was not stored, and no stored order goes unannounced.
#![warn(missing_docs)]

mod app;
mod catalog;
mod config;
mod domain;
mod handlers;
mod metrics;
mod migration;
mod routes;
mod store;
mod timeouts;
mod tools;
mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
pub use config::{Config, DEFAULT_GUEST_ORDERS_PER_MINUTE, DEFAULT_PENDING_TIMEOUT_SECONDS};
use shop_messaging::{Broker, Subscription};
use shop_runtime::{
    Bus, Lifecycle, Scope, Service,
    auth::TokenVerifier,
    consumer::{self, Consumer, Consumes},
    database::{self, Database},
    health::Health,
    http::{self, ApiDoc, Limits},
};
pub use tools::Tool;

use crate::{
    app::App,
    catalog::HttpCatalog,
    domain::{Catalog, GuestRate},
    metrics::Metrics,
    migration::Migrator,
    store::Store,
    timeouts::TimeOuts,
    watch::{Bounds, Watch},
};

/// The schema of the order service's tables on PostgreSQL; the outbox's publisher reads it too.
pub const SCHEMA: &str = "orders";

/// The order service.
#[derive(Debug)]
pub struct Order;

impl Service for Order {
    const NAME: &'static str = "order_service";
    const ABOUT: &'static str =
        "Accepts orders, confirms or cancels them, and writes the events that announce it to the outbox";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let catalog: Arc<dyn Catalog> = Arc::new(HttpCatalog::new(&config.catalog_url)?);
        let envelope = config.link.envelope(config.tokens.demo)?;
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        uses_catalog(&scope.health, &catalog);
        let store = Store::new(database.clone(), scope.clock.clone(), Self::NAME);
        let metrics = Metrics::register(&scope.metrics);
        retire_idempotency_keys(store.clone(), &scope.lifecycle);
        consume(&config, database, &store, &metrics, &scope)?;
        let time_outs = TimeOuts {
            store: store.clone(),
            metrics: metrics.clone(),
            clock: scope.clock.clone(),
            patience: Duration::from_secs(config.pending_timeout_seconds.into()),
        };
        time_outs.run(&scope.lifecycle);
        let watch = Watch::run(Bounds::DEFAULT, metrics.watchers.clone(), store.clone(), &scope.lifecycle);
        let app = App {
            store,
            catalog,
            tokens,
            guest_checkout: config.guest_checkout,
            guest_rate: GuestRate::new(config.guest_orders_per_minute),
            envelope,
            watch,
            clock: scope.clock.clone(),
            metrics,
        };
        let router = http::router(routes::described().with_state(app), &scope, Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    async fn migrate(config: Config) -> anyhow::Result<()> {
        database::migrated::<Migrator>(&config.database_url, SCHEMA).await.map(drop)
    }

    fn bus(config: &Config, bus: &Bus) -> anyhow::Result<Option<Broker>> {
        bus.open(&config.rabbitmq_url).map(Some)
    }

    fn subscriptions(_config: &Config) -> Vec<Subscription> {
        vec![handlers::subscription(Self::QUEUE)]
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(routes::described().into_openapi())
    }
}

impl Consumes for Order {
    const QUEUE: &'static str = "order";
    const BUS_VARIABLE: &'static str = "ORDER_RABBITMQ_URL";
}

/// Follows what other services do about orders.
fn consume(
    config: &Config,
    database: Database,
    store: &Store,
    metrics: &Metrics,
    scope: &Scope,
) -> anyhow::Result<()> {
    let broker = scope.bus.open(&config.rabbitmq_url)?;
    let subscription = handlers::subscription(Order::QUEUE);
    let consumer = Consumer::new(broker, database, subscription, config.consumer.options());
    consumer::run(handlers::all(consumer, store, metrics, &scope.clock)?, scope);
    Ok(())
}

/// Orders can be listed and cancelled while the catalog is away, so only the database is required.
fn uses_catalog(health: &Health, catalog: &Arc<dyn Catalog>) {
    let catalog = Arc::clone(catalog);
    health.uses("catalog", move || {
        let catalog = Arc::clone(&catalog);
        async move { catalog.ping().await.context("checking the catalog's health") }
    });
}

fn retire_idempotency_keys(store: Store, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn("retire idempotency keys", async move {
        let mut ticks = tokio::time::interval(store::RETIREMENT_INTERVAL);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            match store.retire_keys().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "retired idempotency keys"),
                // It is tried again next round; if the database is away, the requests that need it report it.
                Err(error) => tracing::warn!(%error, "idempotency keys could not be retired"),
            }
        }
        Ok(())
    });
}
