use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    event::Event,
    order::OrderedItem,
    read::{accepted_before, first_currency},
};
use crate::{Currency, Email, Money, OrderId, ProductId};

/// Everything that was ordered is reserved.
///
/// It repeats what was ordered, so that who charges for it needs no other event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StockReserved {
    /// The order.
    pub order_id: OrderId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// The sum of the lines.
    pub total_amount: Money,
    /// The currency of all amounts. RUB in events that are older than this field.
    #[serde(default = "first_currency")]
    pub currency: Currency,
    /// What is reserved.
    #[serde(default)]
    pub items: Vec<OrderedItem>,
    /// When the reservation ends, unless the order is confirmed before.
    pub reserved_until: DateTime<Utc>,
}

impl Event for StockReserved {
    const TYPE: &'static str = "stock_reserved";
    const ROUTING_KEY: &'static str = "stock.reserved";
}

/// A product of which there is not enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many were ordered.
    pub wanted: u32,
    /// How many could be had.
    pub available: u32,
}

/// An order cannot be served from stock, or its reservation has ended. Nothing is reserved for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StockRejected {
    /// The order.
    pub order_id: OrderId,
    /// The reason, for people to read.
    pub reason: String,
    /// The products of which there is not enough. Empty if the reservation has ended.
    #[serde(default)]
    pub shortages: Vec<Shortage>,
}

impl Event for StockRejected {
    const TYPE: &'static str = "stock_rejected";
    const ROUTING_KEY: &'static str = "stock.rejected";
}
