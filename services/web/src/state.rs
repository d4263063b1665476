use std::{sync::Arc, time::Duration};

use cookie::Key;
use moka::future::Cache;
use shop_core::Clock;

use crate::{
    Config,
    clients::{Auth, Catalog, Orders, Upstream},
    routes::Picture,
};

/// The pictures that are kept, in bytes.
const PICTURES_IN_MEMORY: u64 = 8 * 1024 * 1024;
/// How long a changed picture may look old.
const PICTURE_FRESH: Duration = Duration::from_secs(300);
/// How long a new category may be missing from the filter.
const CATEGORIES_FRESH: Duration = Duration::from_secs(60);

/// What the handlers share. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) key: Key,
    pub(crate) trust_proxy: bool,
    pub(crate) clock: Clock,
    pub(crate) auth: Auth,
    pub(crate) catalog: Catalog,
    pub(crate) orders: Orders,
    pub(crate) pictures: Cache<i64, Picture>,
    pub(crate) categories: Cache<(), Arc<[String]>>,
}

impl std::ops::Deref for AppState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl AppState {
    pub(crate) fn new(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let http = shop_runtime::client::client()?;
        let upstream = |name, url| Upstream::new(name, url, http.clone());
        Ok(Self(Arc::new(Inner {
            key: config.cookie_key()?,
            trust_proxy: config.trust_proxy,
            clock,
            auth: Auth(upstream("auth_service", &config.auth_url)),
            catalog: Catalog(upstream("catalog_service", &config.catalog_url)),
            orders: Orders(upstream("order_service", &config.order_url)),
            pictures: Cache::builder()
                .weigher(|_, picture: &Picture| picture.weight())
                .max_capacity(PICTURES_IN_MEMORY)
                .time_to_live(PICTURE_FRESH)
                .build(),
            categories: Cache::builder().max_capacity(1).time_to_live(CATEGORIES_FRESH).build(),
        })))
    }

    /// The services that the storefront speaks to.
    pub(crate) fn upstreams(&self) -> [Upstream; 3] {
        [self.auth.0.clone(), self.catalog.0.clone(), self.orders.0.clone()]
    }
}
