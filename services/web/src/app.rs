use std::{sync::Arc, time::Duration};

use cookie::Key;
use moka::future::Cache;
use shop_client::{Auth, Catalog, Orders, Upstream};
use shop_core::Clock;
use shop_runtime::Scope;
use tokio_util::sync::CancellationToken;

use crate::{config::Config, picture::Picture, streams::Streams, trace_url::TraceUrl};

/// How much memory the cached pictures may take, in bytes.
const PICTURES_IN_MEMORY: u64 = 8 * 1024 * 1024;
/// How long a picture is cached after it has changed.
const PICTURE_FRESH: Duration = Duration::from_secs(300);
/// How long a new category may be missing from the filter.
const CATEGORIES_FRESH: Duration = Duration::from_secs(60);

/// What the handlers share. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) key: Key,
    pub(crate) trust_proxy: bool,
    pub(crate) trace_url: Option<TraceUrl>,
    pub(crate) is_demo: bool,
    pub(crate) clock: Clock,
    pub(crate) stopping: CancellationToken,
    pub(crate) streams: Streams,
    pub(crate) auth: Auth,
    pub(crate) catalog: Catalog,
    pub(crate) orders: Orders,
    pub(crate) pictures: Cache<i64, Picture>,
    pub(crate) categories: Cache<(), Arc<[String]>>,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(crate) fn new(config: &Config, scope: &Scope) -> anyhow::Result<Self> {
        let http = shop_client::http()?;
        Ok(Self(Arc::new(Inner {
            key: config.cookie_key()?,
            trust_proxy: config.trust_proxy,
            trace_url: config.trace_url.clone(),
            is_demo: config.demo.is_on,
            clock: scope.clock.clone(),
            stopping: scope.lifecycle.stopping(),
            streams: Streams::default(),
            auth: Auth::new(&config.auth_url, &http),
            catalog: Catalog::new(&config.catalog_url, &http),
            orders: Orders::new(&config.order_url, &http),
            pictures: Cache::builder()
                .weigher(|_, picture: &Picture| picture.weight())
                .max_capacity(PICTURES_IN_MEMORY)
                .time_to_live(PICTURE_FRESH)
                .build(),
            categories: Cache::builder().max_capacity(1).time_to_live(CATEGORIES_FRESH).build(),
        })))
    }

    /// The services that the storefront calls.
    pub(crate) fn upstreams(&self) -> [&Upstream; 3] {
        [self.auth.upstream(), self.catalog.upstream(), self.orders.upstream()]
    }
}
