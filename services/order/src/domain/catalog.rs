use async_trait::async_trait;
use shop_core::{Currency, Money, ProductId};
use thiserror::Error;

/// A product as the catalog sells it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Its number.
    pub id: ProductId,
    /// Its name, which the order keeps.
    pub name: String,
    /// The price of one.
    pub price: Money,
    /// What the price is in.
    pub currency: Currency,
    /// How many there are.
    pub stock: u32,
}

/// Who knows the products and their prices.
#[async_trait]
pub(crate) trait Catalog: Send + Sync {
    /// Those of `ids` that there are, in any order.
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Product>, CatalogAway>;

    /// Whether it answers, for readiness.
    async fn ping(&self) -> Result<(), CatalogAway>;
}

/// The catalog cannot be asked now, or what it says cannot be understood. The source is for the log.
#[derive(Debug, Error)]
#[error("the catalog is away")]
pub(crate) struct CatalogAway(#[from] pub anyhow::Error);
