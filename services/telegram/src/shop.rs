use shop_client::{Auth, Catalog, Orders, Upstream};

use crate::config::Config;

/// The shop's services.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) auth: Auth,
    pub(crate) catalog: Catalog,
    pub(crate) orders: Orders,
}

impl Shop {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let http = shop_client::http()?;
        Ok(Self {
            auth: Auth::new(&config.auth_url, &http),
            catalog: Catalog::new(&config.catalog_url, &http),
            orders: Orders::new(&config.order_url, &http),
        })
    }

    /// Each of them, for health checks.
    pub(crate) fn upstreams(&self) -> [&Upstream; 3] {
        [self.auth.upstream(), self.catalog.upstream(), self.orders.upstream()]
    }
}
