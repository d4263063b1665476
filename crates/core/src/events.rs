//! The contracts of the events on the exchange [`EXCHANGE`]: names, routing keys and payloads.
//!
//! Payloads only gain fields. A reader ignores fields that it does not know, and a field that was added later has a
//! default, so an event that was written by an older or a newer version can be read. The files in `tests/golden` are
//! payloads that have been published once and must stay readable.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{Email, Money, OrderId, ProductId};

/// The topic exchange for all events of the shop.
pub const EXCHANGE: &str = "shop_events";

/// An event's payload, with the event's name and routing key.
pub trait Event: Serialize + DeserializeOwned {
    /// The AMQP `type` and the outbox row's `event_type`.
    const TYPE: &'static str;
    /// The AMQP routing key.
    const ROUTING_KEY: &'static str;
}

/// A line of an order, at the price that the customer agreed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderedItem {
    /// The product.
    pub product_id: ProductId,
    /// The quantity.
    pub quantity: u32,
    /// The price of one piece.
    pub price: Money,
}

/// An order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// The order.
    pub order_id: OrderId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// The sum of the lines.
    pub total_amount: Money,
    /// The lines. Empty in events that are older than this field.
    #[serde(default)]
    pub items: Vec<OrderedItem>,
}

impl Event for OrderCreated {
    const TYPE: &'static str = "order_created";
    const ROUTING_KEY: &'static str = "order.created";
}

/// An order was cancelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// The sum of the lines.
    pub total_amount: Money,
    /// The reason, for people to read.
    pub reason: String,
}

impl Event for OrderCancelled {
    const TYPE: &'static str = "order_cancelled";
    const ROUTING_KEY: &'static str = "order.cancelled";
}

/// An event may be older than a rule of [`Email`]'s `FromStr`; its order was accepted anyway.
fn accepted_before<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Email, D::Error> {
    let text = String::deserialize(deserializer)?;
    Email::from_stored(&text).map_err(serde::de::Error::custom)
}
