//! The catalog service, over HTTP.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use serde::Deserialize;
use shop_core::{Money, ProductId};
use shop_runtime::client;
use url::Url;

use crate::domain::{Catalog, CatalogAway, Product};

/// How long an order waits for its prices, a second attempt included.
const PATIENCE: Duration = Duration::from_secs(4);
/// Between the two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest answer that is read: 50 products with long descriptions are well below.
const MAX_ANSWER: usize = 1024 * 1024;

/// A client of `catalog_service`.
#[derive(Clone, Debug)]
pub(crate) struct HttpCatalog {
    client: reqwest::Client,
    products: Url,
    health: Url,
}

impl HttpCatalog {
    /// A client of the catalog at `base`, such as `http://catalog_service:8000`.
    pub(crate) fn new(base: &Url) -> anyhow::Result<Self> {
        ensure!(
            matches!(base.scheme(), "http" | "https"),
            "ORDER_CATALOG_URL: expected an address such as http://127.0.0.1:8002"
        );
        let below = |path: &str| {
            let mut url = base.clone();
            url.set_query(None);
            // An http address always has a path.
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().push(path);
            }
            url
        };
        Ok(Self { client: client::client()?, products: below("products"), health: below("health") })
    }

    async fn ask(&self, ids: &[ProductId]) -> anyhow::Result<Vec<Product>> {
        let listed = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let limit = ids.len().to_string();
        let query = [("ids", listed.as_str()), ("limit", limit.as_str())];
        let send = || client::send("GET /products", self.client.get(self.products.clone()).query(&query));
        let response = match send().await {
            // Nothing was sent yet, and a catalog that is being replaced deserves a second knock.
            Err(error) if error.is_connect() => {
                tokio::time::sleep(PAUSE).await;
                send().await
            }
            outcome => outcome,
        };
        let response = response.context("no answer")?.error_for_status()?;
        let products: Vec<CatalogProduct> =
            serde_json::from_slice(&bounded(response).await?).context("an answer that is not understood")?;
        products.into_iter().map(Product::try_from).collect()
    }
}

#[async_trait]
impl Catalog for HttpCatalog {
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Product>, CatalogAway> {
        // The catalog numbers its products from 1; it need not be asked for what it cannot have.
        let ids: Vec<_> = ids.iter().copied().filter(|id| id.0 > 0).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let answer = tokio::time::timeout(PATIENCE, self.ask(&ids)).await;
        Ok(answer.with_context(|| format!("no answer within {PATIENCE:?}")).flatten()?)
    }

    async fn ping(&self) -> Result<(), CatalogAway> {
        let response = self.client.get(self.health.clone()).send().await.context("no answer")?;
        response.error_for_status().map_err(anyhow::Error::from)?;
        Ok(())
    }
}

/// What the order service reads of the catalog's products.
#[derive(Debug, Deserialize)]
struct CatalogProduct {
    id: ProductId,
    name: String,
    price: Money,
    currency: String,
    stock: i64,
}

impl TryFrom<CatalogProduct> for Product {
    type Error = anyhow::Error;

    fn try_from(product: CatalogProduct) -> anyhow::Result<Self> {
        let CatalogProduct { id, name, price, currency, stock } = product;
        ensure!(
            currency.len() == 3 && currency.bytes().all(|letter| letter.is_ascii_uppercase()),
            "product {id} has a currency that is not ISO 4217"
        );
        Ok(Self { id, name, price, currency, stock: stock.try_into().unwrap_or(0) })
    }
}

async fn bounded(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("an answer that breaks off")? {
        ensure!(body.len() + chunk.len() <= MAX_ANSWER, "an answer of more than {MAX_ANSWER} bytes");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
