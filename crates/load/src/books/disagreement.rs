use std::fmt;

use serde::Serialize;
use shop_core::{OrderId, ProductId};

/// Something that the books do not agree about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// What follows from the other books.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// What the books do not agree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// An order.
    Order(OrderId),
    /// The stock of a product.
    Product(ProductId),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => write!(f, "order {id}"),
            Self::Product(id) => write!(f, "product {id}"),
        }
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, expected, found } = self;
        write!(f, "{about}: expected {expected}, found {found}")
    }
}
