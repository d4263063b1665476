use async_trait::async_trait;
use shop_core::{Currency, Money, ProductId};
use thiserror::Error;

/// A product as the catalog sells it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Its id.
    pub id: ProductId,
    /// Its name, which the order stores.
    pub name: String,
    /// The price of one piece.
    pub price: Money,
    /// What the price is in.
    pub currency: Currency,
    /// How many there are.
    pub stock: u32,
}

/// The source of products and their prices.
#[async_trait]
pub(crate) trait Catalog: Send + Sync {
    /// Returns those of `ids` that exist, in any order.
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<Product>, CatalogAway>;

    /// Whether it answers, for readiness.
    async fn ping(&self) -> Result<(), CatalogAway>;
}

/// The catalog is away, or its response cannot be understood. The source is for the log.
#[derive(Debug, Error)]
#[error("the catalog is away")]
pub(crate) struct CatalogAway(#[from] pub anyhow::Error);
