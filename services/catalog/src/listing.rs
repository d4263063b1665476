//! The first page of all products, the most frequent request. It comes from the cache, or is loaded once for everybody who waits.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::Shared};
use prometheus_client::metrics::counter::Counter;
use sea_orm::DbErr;
use shop_runtime::{Lifecycle, Scope, http::Problem};
use tokio::sync::oneshot;

use crate::{
    cache::{Cache, Claim},
    domain::Filter,
    page::Page,
    store::Products,
};

/// The default and maximum number of products on a page.
pub(crate) const PAGE: u64 = 100;

/// How long a load waits for the list from another replica that is loading it, in growing steps; then it reads the database.
const PATIENCE: [Duration; 6] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// The list of products, behind its cache.
#[derive(Clone)]
pub(crate) struct Listing(Arc<Inner>);

struct Inner {
    products: Products,
    cache: Arc<dyn Cache>,
    /// The load that others may join, with the cache's generation in which it began.
    flight: Mutex<Option<Flight>>,
    metrics: Counters,
    lifecycle: Lifecycle,
}

struct Flight {
    generation: u64,
    landing: Landing,
}

type Landing = Shared<oneshot::Receiver<Result<Listed, DbErr>>>;

/// The list, and whether it was cached.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) page: Arc<Page>,
    pub(crate) is_hit: bool,
}

/// Counter handles, so that counting costs an addition.
#[derive(Debug, Default)]
struct Counters {
    hits: Counter,
    misses: Counter,
    errors: Counter,
    loads: Counter,
}

impl Counters {
    fn registered(scope: &Scope) -> Self {
        let this = Self::default();
        scope.metrics.register(|registry| {
            registry.register("catalog_cache_hits", "Lists served from the cache", this.hits.clone());
            registry.register(
                "catalog_cache_misses",
                "Lists that were not in the cache",
                this.misses.clone(),
            );
            registry.register(
                "catalog_cache_errors",
                "Cache requests that failed because the cache was away",
                this.errors.clone(),
            );
            registry.register("catalog_list_loads", "Lists loaded from the database", this.loads.clone());
        });
        this
    }
}

impl Listing {
    pub(crate) fn new(products: Products, cache: Arc<dyn Cache>, scope: &Scope) -> Self {
        Self(Arc::new(Inner {
            products,
            cache,
            flight: Mutex::default(),
            metrics: Counters::registered(scope),
            lifecycle: scope.lifecycle.clone(),
        }))
    }

    /// Returns the list, no older than the cache promises.
    pub(crate) async fn get(&self) -> Result<Listed, Problem> {
        match self.0.cache.get().await {
            Ok(Some(page)) => {
                self.0.metrics.hits.inc();
                return Ok(Listed { page, is_hit: true });
            }
            Ok(None) => self.0.metrics.misses.inc(),
            Err(_away) => self.0.metrics.errors.inc(),
        };
        match self.board().await {
            Ok(listed) => Ok(listed?),
            Err(_dropped) => Err(Problem::unavailable("The catalog is stopping.", 1)),
        }
    }

    /// Runs `write`, which changes products, and invalidates the list. It runs to its end even if the client does not wait:
    /// a connection that breaks between the commit and the invalidation must not leave the old list behind.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, DbErr>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (done, outcome) = oneshot::channel();
        let inner = self.0.clone();
        self.0.lifecycle.spawn("change of a product", async move {
            let written = write.await;
            // Also after an error: a commit whose confirmation was lost may have happened.
            inner.cache.invalidate().await;
            // The client may be gone.
            let _ = done.send(written);
            Ok(())
        });
        match outcome.await {
            Ok(written) => Ok(written?),
            Err(_dropped) => Err(Problem::unavailable("The catalog is stopping.", 1)),
        }
    }

    /// Joins the load in progress, unless something was invalidated since it began; otherwise starts one.
    fn board(&self) -> Landing {
        let mut flight = self.0.flight();
        let generation = self.0.cache.generation();
        if let Some(flight) = flight.as_ref().filter(|flight| flight.generation == generation) {
            return flight.landing.clone();
        }
        let (landed, landing) = oneshot::channel();
        let landing = landing.shared();
        *flight = Some(Flight { generation, landing: landing.clone() });
        drop(flight);
        let inner = self.0.clone();
        self.0.lifecycle.spawn("load of the list", async move {
            let outcome = inner.load().await;
            // Before the landing, so that nobody who comes later gets a list that was loaded earlier.
            inner.flight().take_if(|flight| flight.generation == generation);
            // Everybody who waited may be gone.
            let _ = landed.send(outcome);
            Ok(())
        });
        landing
    }
}

impl Inner {
    fn flight(&self) -> MutexGuard<'_, Option<Flight>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self) -> Result<Listed, DbErr> {
        let claim = match self.cached_or_claimed().await {
            Found::Cached(page) => return Ok(Listed { page, is_hit: true }),
            Found::Claimed(claim) => Some(claim),
            Found::Neither => None,
        };
        self.metrics.loads.inc();
        let loaded = first_page(&self.products).await;
        match (&loaded, claim) {
            (Ok(page), Some(claim)) => match self.cache.fill(claim, page).await {
                Ok(true) => {}
                Ok(false) => tracing::debug!("the list changed while it was loaded; it is not cached"),
                Err(_away) => {
                    self.metrics.errors.inc();
                }
            },
            (Err(_), Some(claim)) => self.cache.release(claim).await,
            (_, None) => {}
        }
        Ok(Listed { page: Arc::new(loaded?), is_hit: false })
    }

    /// Returns what another replica has cached meanwhile, or the right to cache it.
    async fn cached_or_claimed(&self) -> Found {
        for pause in PATIENCE {
            match self.cache.get().await {
                Ok(Some(page)) => return Found::Cached(page),
                Ok(None) => {}
                Err(_away) => return Found::Neither,
            }
            match self.cache.claim().await {
                Ok(Some(claim)) => return Found::Claimed(claim),
                Ok(None) => tokio::time::sleep(pause).await,
                Err(_away) => return Found::Neither,
            }
        }
        Found::Neither
    }
}

enum Found {
    Cached(Arc<Page>),
    Claimed(Claim),
    /// The cache is away, or the replica that has the claim takes too long.
    Neither,
}

async fn first_page(products: &Products) -> Result<Page, DbErr> {
    let found = products.page(&Filter::default(), None, PAGE + 1).await?;
    Page::of(found, PAGE, |cursor| format!("/products?cursor={cursor}"))
}
