//! The order service: takes orders at the catalog's prices, and announces what becomes of them.
//!
//! An order and the event that announces it are one transaction: the outbox's publisher carries the event to the
//! broker, so nothing is sent for an order that was not kept, and nothing kept goes unannounced.
#![warn(missing_docs)]

mod catalog;
mod config;
mod domain;
mod metrics;
mod migration;
mod routes;
mod store;
mod tools;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
pub use config::{Config, DEFAULT_GUEST_ORDERS_PER_MINUTE};
pub use routes::api;
use shop_runtime::{
    Lifecycle, Scope, Service,
    auth::TokenVerifier,
    database::{self, Database},
    health::Health,
    http::{ApiDoc, Limits, bind_and_serve, router},
};
pub use tools::Tool;

use crate::{
    catalog::HttpCatalog,
    domain::{Catalog, GuestRate},
    routes::App,
    store::Store,
};

/// The schema of the order service's tables on PostgreSQL, which the outbox's publisher reads too.
pub const SCHEMA: &str = "orders";

/// The order service.
#[derive(Debug)]
pub struct Order;

impl Service for Order {
    const NAME: &'static str = "order_service";
    const ABOUT: &'static str = "Takes orders, and writes the events that announce them to the outbox";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let catalog: Arc<dyn Catalog> = Arc::new(HttpCatalog::new(&config.catalog_url)?);
        let database = database::open::<migration::Migrator>(&config.database_url, SCHEMA, &scope).await?;
        let health = health(&database, &catalog, &scope);
        let store = Store::new(database, scope.clock.clone());
        retire_idempotency_keys(store.clone(), &scope.lifecycle);
        let app = App {
            store,
            catalog,
            tokens,
            guest_checkout: config.guest_checkout,
            guest_rate: GuestRate::new(config.guest_orders_per_minute),
            clock: scope.clock.clone(),
            metrics: metrics::Metrics::register(&scope.metrics),
        };
        let router = router(routes::router(app), Self::api(), health, &scope, Limits::default());
        bind_and_serve(config.listen, router, &scope).await
    }

    async fn migrate(config: Config) -> anyhow::Result<()> {
        let database = database::connect(&config.database_url, SCHEMA).await?;
        database::migrate::<migration::Migrator>(&database).await
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(api())
    }
}

/// Orders can be listed and cancelled while the catalog is away, so only the database is required.
fn health(database: &Database, catalog: &Arc<dyn Catalog>, scope: &Scope) -> Health {
    let catalog = Arc::clone(catalog);
    Health::new(scope.name, scope.lifecycle.stopping()).requires("database", database.readiness()).uses(
        "catalog",
        move || {
            let catalog = Arc::clone(&catalog);
            async move { catalog.ping().await.context("asking the catalog for its health") }
        },
    )
}

fn retire_idempotency_keys(store: Store, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn("retire idempotency keys", async move {
        let mut ticks = tokio::time::interval(store::RETIREMENT_INTERVAL);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            match store.retire_keys().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "retired idempotency keys"),
                // The next round will do; the requests that need the database say for themselves that it is away.
                Err(error) => tracing::warn!(%error, "idempotency keys could not be retired"),
            }
        }
        Ok(())
    });
}
