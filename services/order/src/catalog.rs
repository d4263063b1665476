//! The catalog service, over HTTP.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use shop_core::ProductId;
use url::Url;

use crate::domain::{Catalog, CatalogAway, Product};

/// How long an order waits for its prices, a second attempt included.
const PATIENCE: Duration = Duration::from_secs(4);

/// A client of `catalog_service`.
#[derive(Clone, Debug)]
pub(crate) struct HttpCatalog(shop_client::Catalog);

impl HttpCatalog {
    /// A client of the catalog at `base`, such as `http://catalog_service:8000`.
    pub(crate) fn new(base: &Url) -> anyhow::Result<Self> {
        Ok(Self(shop_client::Catalog::new(base, &shop_client::http()?)))
    }
}

#[async_trait]
impl Catalog for HttpCatalog {
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Product>, CatalogAway> {
        let answer = tokio::time::timeout(PATIENCE, self.0.by_ids(ids)).await;
        let products = answer.with_context(|| format!("no answer within {PATIENCE:?}"))?;
        let products = products.map_err(anyhow::Error::from)?;
        Ok(products.into_values().map(Product::from).collect())
    }

    async fn ping(&self) -> Result<(), CatalogAway> {
        Ok(self.0.upstream().ping().await.map_err(anyhow::Error::from)?)
    }
}

impl From<shop_client::Product> for Product {
    fn from(product: shop_client::Product) -> Self {
        let shop_client::Product { id, name, price, currency, stock, .. } = product;
        Self { id, name, price, currency, stock }
    }
}
