//! Products and stock.
//!
//! The list of products is cached ([`cache`] describes how, and what readers can rely on); everything else, including the prices
//! at which orders are placed, comes from the database.
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
mod store;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use shop_runtime::{
    Scope, Service,
    auth::TokenVerifier,
    database,
    http::{self, ApiDoc, Limits},
};

pub use config::Config;
pub use page::Page;

use crate::{
    app::App,
    cache::{Cache, MemoryCache, RedisCache, Timing},
    listing::Listing,
    migration::Migrator,
    store::Products,
};

/// The PostgreSQL schema of this service.
const SCHEMA: &str = "catalog";

/// The catalog.
#[derive(Debug)]
pub struct Catalog;

impl Service for Catalog {
    const NAME: &'static str = "catalog_service";
    const ABOUT: &'static str = "Products and stock";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        let tokens = TokenVerifier::new(&config.tokens)?;
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        let products = Products::new(database);
        config.redis_url.warn();
        let cache: Arc<dyn Cache> = if let Some(url) = config.redis_url.expose() {
            let key = products.cache_key().await.context("reading the cache's key")?;
            let redis = RedisCache::open(url, key.as_bytes(), Timing::default(), &scope)
                .await
                .context("CATALOG_REDIS_URL")?;
            scope.health.uses("redis", {
                let redis = redis.clone();
                move || {
                    let redis = redis.clone();
                    async move { redis.check().await }
                }
            });
            Arc::new(redis)
        } else {
            Arc::new(MemoryCache::new(Timing::default(), scope.clock.clone()))
        };
        let listing = Listing::new(products.clone(), cache, &scope);
        let app = App::new(products, listing, tokens);
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
