use serde::Serialize;
use shop_core::{Money, ProductId};
use utoipa::ToSchema;

use crate::domain::{CURRENCY, Product};

/// A product, as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductBody {
    /// A small positive number.
    id: ProductId,
    /// Its name.
    name: String,
    /// Its description; lines end in `\n`.
    description: String,
    /// The price of one piece.
    price: Money,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    currency: &'static str,
    /// Its category: a-z, 0-9 and hyphens.
    #[schema(examples("desk"))]
    category: String,
    /// How many can be bought: in stock, and not reserved.
    stock: u32,
    /// The picture's path on this service: an SVG.
    #[schema(examples("/products/1/picture.svg"))]
    picture: String,
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        Self {
            id: product.id,
            name: product.name,
            description: product.description,
            price: product.price,
            currency: CURRENCY,
            category: product.category,
            stock: product.stock,
            picture: format!("/products/{}/picture.svg", product.id),
        }
    }
}
