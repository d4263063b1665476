use std::collections::{BTreeSet, HashMap};

use axum::http::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use shop_core::{Money, ProductId};

use super::{Answer, Failure, Upstream};

/// catalog_service.
pub(crate) struct Catalog(pub(crate) Upstream);

/// What is for sale.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) price: Money,
    pub(crate) currency: String,
    #[serde(default)]
    pub(crate) category: String,
    pub(crate) stock: i64,
}

/// Which products to list.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Search<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) q: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<&'a str>,
    pub(crate) limit: usize,
}

/// The products whose categories the filter offers; more than one page of them is not looked at.
const SURVEYED: usize = 100;

impl Catalog {
    /// A page of products, and the cursor of the next one.
    pub(crate) async fn search(
        &self,
        search: &Search<'_>,
    ) -> Result<(Vec<Product>, Option<String>), Failure> {
        let answer = self.products(search).await?;
        Ok((answer.json()?, answer.next_cursor()))
    }

    /// The products with these ids; those that are no longer sold are missing.
    pub(crate) async fn by_ids(&self, ids: &[ProductId]) -> Result<HashMap<ProductId, Product>, Failure> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let answer = self.products(&[("ids", ids.join(",")), ("limit", ids.len().to_string())]).await?;
        let products: Vec<Product> = answer.json()?;
        Ok(products.into_iter().map(|product| (product.id, product)).collect())
    }

    /// The categories that products are in, by name.
    pub(crate) async fn categories(&self) -> Result<Vec<String>, Failure> {
        let (products, _) = self.search(&Search { limit: SURVEYED, ..Search::default() }).await?;
        let categories: BTreeSet<String> = products.into_iter().map(|product| product.category).collect();
        Ok(categories.into_iter().filter(|category| !category.is_empty()).collect())
    }

    /// One product; `None` when there is none.
    pub(crate) async fn product(&self, id: ProductId) -> Result<Option<Product>, Failure> {
        let request = self.0.request(Method::GET, &format!("/products/{id}"));
        found(self.0.call("GET /products/{id}", request).await)?.map(|answer| answer.json()).transpose()
    }

    /// A product's picture, an SVG document; `None` when there is none.
    pub(crate) async fn picture(&self, id: ProductId) -> Result<Option<Vec<u8>>, Failure> {
        let request = self.0.request(Method::GET, &format!("/products/{id}/picture.svg"));
        let Some(answer) = found(self.0.call("GET /products/{id}/picture.svg", request).await)? else {
            return Ok(None);
        };
        let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|value| value.starts_with("image/svg+xml")) {
            Ok(Some(answer.body))
        } else {
            Err(Failure::Broken { service: self.0.name(), reason: "a picture is no SVG".to_owned() })
        }
    }

    async fn products(&self, query: &(impl Serialize + ?Sized)) -> Result<Answer, Failure> {
        self.0.call("GET /products", self.0.request(Method::GET, "/products").query(query)).await
    }
}

fn found(outcome: Result<Answer, Failure>) -> Result<Option<Answer>, Failure> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(Failure::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
        Err(failure) => Err(failure),
    }
}
