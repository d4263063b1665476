use std::collections::HashMap;

use serde::Deserialize;
use shop_core::{Money, ProductId};

use super::{Call, Page, Shop, ShopError, at};

/// A product, as the bot shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) price: Money,
    pub(crate) currency: String,
    #[serde(default)]
    pub(crate) stock: u32,
}

const LIST: Call = Call { service: "catalog_service", span: "GET /products" };

impl Shop {
    /// Products `skip..skip + take` of the catalog.
    pub(crate) async fn products(&self, skip: usize, take: usize) -> Result<Page<Product>, ShopError> {
        self.page(LIST, &at(&self.catalog, &["products"]), |request| request, skip, take).await
    }

    /// The products with these ids, as many of them as there are.
    pub(crate) async fn products_by_id(
        &self,
        ids: impl Iterator<Item = ProductId>,
    ) -> Result<HashMap<ProductId, Product>, ShopError> {
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let request = self.http.get(at(&self.catalog, &["products"])).query(&[("ids", ids.join(","))]);
        let products: Vec<Product> = LIST.read(LIST.send(request).await?).await?;
        Ok(products.into_iter().map(|product| (product.id, product)).collect())
    }

    /// Whether catalog_service is alive.
    pub(crate) async fn catalog_is_alive(&self) -> anyhow::Result<()> {
        self.alive(&self.catalog).await
    }
}
