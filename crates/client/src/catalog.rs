use std::collections::HashMap;

use http::{Method, header};
use serde::{Deserialize, Serialize};
use shop_core::{Currency, Money, ProductId};
use url::Url;

use crate::{
    Failure, Http, Page, Slice, Upstream,
    page::{LARGEST_PAGE, slice},
    upstream::{Answer, found},
};

/// A client of catalog_service.
#[derive(Clone, Debug)]
pub struct Catalog(Upstream);

/// A product.
#[derive(Clone, Debug, Deserialize)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Its name.
    pub name: String,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// The price of one piece.
    pub price: Money,
    /// The price's currency.
    pub currency: Currency,
    /// Its category; empty for none.
    #[serde(default)]
    pub category: String,
    /// How many are in stock.
    pub stock: u32,
}

/// Which products to list.
#[derive(Clone, Debug, Serialize)]
pub struct Search<'a> {
    /// Words to find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<&'a str>,
    /// Only this category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'a str>,
    /// Where to continue: [`Page::next`] of the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a str>,
    /// The maximum number of products, 1 to 100.
    pub limit: usize,
}

impl Search<'_> {
    /// The first `limit` of all products.
    pub fn all(limit: usize) -> Self {
        Self { q: None, category: None, cursor: None, limit }
    }
}

impl Catalog {
    /// catalog_service at `base`.
    pub fn new(base: &Url, http: &Http) -> Self {
        Self(Upstream::new("catalog_service", base, http))
    }

    /// The service itself, for health checks.
    pub fn upstream(&self) -> &Upstream {
        &self.0
    }

    /// Returns a page of products.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn search(&self, search: &Search<'_>) -> Result<Page<Product>, Failure> {
        self.products(search).await?.page()
    }

    /// Returns products `skip..skip + take` of all.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn slice(&self, skip: usize, take: usize) -> Result<Slice<Product>, Failure> {
        slice(skip, take, |cursor: Option<String>| async move {
            self.search(&Search { cursor: cursor.as_deref(), ..Search::all(LARGEST_PAGE) }).await
        })
        .await
    }

    /// Returns the products with these ids, at most 100; those that are no longer sold are missing.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn by_ids(&self, ids: &[ProductId]) -> Result<HashMap<ProductId, Product>, Failure> {
        // The catalog numbers its products from 1; other ids need no request.
        let ids: Vec<String> = ids.iter().filter(|id| id.0 > 0).map(ToString::to_string).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query = [("ids", ids.join(",")), ("limit", ids.len().to_string())];
        let products: Vec<Product> = self.products(&query).await?.json()?;
        Ok(products.into_iter().map(|product| (product.id, product)).collect())
    }

    /// Returns a product; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn product(&self, id: ProductId) -> Result<Option<Product>, Failure> {
        let request = || self.0.request(Method::GET, &["products", &id.to_string()]);
        found(self.0.call("GET /products/{id}", request).await)?.map(|answer| answer.json()).transpose()
    }

    /// Returns a product's picture, an SVG document; `None` if the product does not exist.
    ///
    /// # Errors
    /// See [`Failure`]; anything but an SVG document is [`Failure::Unreadable`].
    pub async fn picture(&self, id: ProductId) -> Result<Option<Vec<u8>>, Failure> {
        let request = || self.0.request(Method::GET, &["products", &id.to_string(), "picture.svg"]);
        let Some(answer) = found(self.0.call("GET /products/{id}/picture.svg", request).await)? else {
            return Ok(None);
        };
        let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|value| value.starts_with("image/svg+xml")) {
            Ok(Some(answer.body))
        } else {
            Err(Failure::Unreadable { service: self.0.name(), reason: "a picture is not SVG".to_owned() })
        }
    }

    async fn products(&self, query: &(impl Serialize + ?Sized)) -> Result<Answer, Failure> {
        self.0.call("GET /products", || self.0.request(Method::GET, &["products"]).query(query)).await
    }
}
