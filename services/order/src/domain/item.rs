use shop_core::{Money, ProductId};

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The product.
    pub product_id: ProductId,
    /// Its name when it was bought.
    pub name: String,
    /// The quantity.
    pub quantity: u32,
    /// The price of one piece.
    pub price: Money,
}
