//! Products and stock.
//!
//! The list of products is cached ([`cache`] describes how, and what readers can rely on); everything else, including the prices
//! at which orders are placed, comes from the database. Stock is reserved, sold and given back on the events of orders.
#![warn(missing_docs)]

mod app;
mod body;
pub mod cache;
mod config;
mod domain;
mod listing;
mod migration;
mod page;
mod routes;
mod stock;
mod store;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use chrono::TimeDelta;
use shop_messaging::{Broker, Subscription};
use shop_runtime::{
    Bus, Scope, Service,
    auth::TokenVerifier,
    consumer::{self, Consumes},
    database::{self, Database},
    http::{self, ApiDoc, Limits},
};

pub use config::{Config, DEFAULT_RESERVATION_SECONDS};
pub use page::Page;

use crate::{
    app::App,
    cache::{Cache, MemoryCache, RedisCache, Timing},
    listing::Listing,
    migration::Migrator,
    stock::{Desk, Stockroom},
    store::Products,
};

/// The PostgreSQL schema of this service; the publisher of its outbox reads it too.
pub const SCHEMA: &str = "catalog";

/// The catalog.
#[derive(Debug)]
pub struct Catalog;

impl Service for Catalog {
    const NAME: &'static str = "catalog_service";
    const ABOUT: &'static str = "Products and stock";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let broker = scope.bus.open(&config.rabbitmq_url)?;
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        let products = Products::new(database.clone());
        let cache = open_cache(&config, &products, &scope).await?;
        keep_stock(&config, broker, database.clone(), cache.clone(), &scope)?;
        let listing = Listing::new(products.clone(), cache, &scope);
        let app = App::new(products, listing, database, tokens);
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
        vec![stock::subscription(Self::QUEUE)]
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(routes::described().into_openapi())
    }
}

impl Consumes for Catalog {
    const QUEUE: &'static str = "catalog";
    const BUS_VARIABLE: &'static str = "CATALOG_RABBITMQ_URL";
}

/// The operator's tools for events that could not be handled.
pub type Tool = consumer::Tool<Catalog>;

async fn open_cache(config: &Config, products: &Products, scope: &Scope) -> anyhow::Result<Arc<dyn Cache>> {
    config.redis_url.warn();
    let Some(url) = config.redis_url.expose() else {
        return Ok(Arc::new(MemoryCache::new(Timing::default(), scope.clock.clone())));
    };
    let key = products.cache_key().await.context("reading the cache's key")?;
    let redis =
        RedisCache::open(url, key.as_bytes(), Timing::default(), scope).await.context("CATALOG_REDIS_URL")?;
    scope.health.uses("redis", {
        let redis = redis.clone();
        move || {
            let redis = redis.clone();
            async move { redis.check().await }
        }
    });
    Ok(Arc::new(redis))
}

/// Starts what the events of orders and the passing of time do to stock.
fn keep_stock(
    config: &Config,
    broker: Broker,
    database: Database,
    cache: Arc<dyn Cache>,
    scope: &Scope,
) -> anyhow::Result<()> {
    let stockroom = Stockroom::new(database, cache, stock::Metrics::registered(&scope.metrics));
    let lasts = TimeDelta::seconds(config.reservation_seconds.into());
    let desk = Desk::new(scope.name, scope.clock.clone(), lasts);
    let subscription = stock::subscription(Catalog::QUEUE);
    let consumer =
        stock::consumer(broker, subscription, stockroom.clone(), &desk, config.consumer.options())?;
    consumer::run(consumer, scope);
    stock::expire(stockroom, desk, &scope.lifecycle);
    Ok(())
}
