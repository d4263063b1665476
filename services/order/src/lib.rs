//! The order service: accepts orders at the catalog's prices, and publishes what happens to them.
//!
//! An order and the event that announces it are written in one transaction, and the outbox's publisher carries the event to the
//! broker. So no event is sent for an order that was not stored, and no stored order goes unannounced.
#![warn(missing_docs)]

mod app;
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
use shop_runtime::{
    Lifecycle, Scope, Service,
    auth::TokenVerifier,
    database,
    health::Health,
    http::{self, ApiDoc, Limits},
};
pub use tools::Tool;

use crate::{
    app::App,
    catalog::HttpCatalog,
    domain::{Catalog, GuestRate},
    migration::Migrator,
    store::Store,
};

/// The schema of the order service's tables on PostgreSQL; the outbox's publisher reads it too.
pub const SCHEMA: &str = "orders";

/// The order service.
#[derive(Debug)]
pub struct Order;

impl Service for Order {
    const NAME: &'static str = "order_service";
    const ABOUT: &'static str = "Accepts orders, and writes the events that announce them to the outbox";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let catalog: Arc<dyn Catalog> = Arc::new(HttpCatalog::new(&config.catalog_url)?);
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        uses_catalog(&scope.health, &catalog);
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
        let router = http::router(routes::described().with_state(app), &scope, Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    async fn migrate(config: Config) -> anyhow::Result<()> {
        database::migrated::<Migrator>(&config.database_url, SCHEMA).await.map(drop)
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(routes::described().into_openapi())
    }
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
