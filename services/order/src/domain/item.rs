use shop_core::{Money, ProductId};

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// What.
    pub product_id: ProductId,
    /// What it was called when it was bought.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one.
    pub price: Money,
}
