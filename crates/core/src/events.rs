//! The contracts of the events on the exchange [`EXCHANGE`]: names, routing keys and payloads.
//!
//! A payload only ever grows: readers ignore fields that they do not know.

use serde::{Deserialize, Serialize};

use crate::{Email, Money, OrderId, ProductId};

/// The topic exchange that every event of the shop goes to.
pub const EXCHANGE: &str = "shop_events";

/// What an event is called, and where it goes.
pub trait Event: Serialize {
    /// The AMQP `type` and the outbox row's `event_type`.
    const TYPE: &'static str;
    /// The AMQP routing key.
    const ROUTING_KEY: &'static str;
}

/// A line of an order, at the price that the customer agreed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderedItem {
    /// What.
    pub product_id: ProductId,
    /// How many.
    pub quantity: u32,
    /// The price of one.
    pub price: Money,
}

/// An order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_email: Email,
    /// The sum of the lines.
    pub total_amount: Money,
    /// The lines.
    pub items: Vec<OrderedItem>,
}

impl Event for OrderCreated {
    const TYPE: &'static str = "order_created";
    const ROUTING_KEY: &'static str = "order.created";
}

/// An order will not be carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    pub customer_email: Email,
    /// The sum of the lines.
    pub total_amount: Money,
    /// Why, for a person to read.
    pub reason: String,
}

impl Event for OrderCancelled {
    const TYPE: &'static str = "order_cancelled";
    const ROUTING_KEY: &'static str = "order.cancelled";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_created_has_the_documented_payload() {
        let event = OrderCreated {
            order_id: OrderId(uuid::Uuid::nil()),
            customer_email: "buyer@example.com".parse().unwrap(),
            total_amount: Money::from_minor(250_000).unwrap(),
            items: vec![OrderedItem {
                product_id: ProductId(1),
                quantity: 2,
                price: Money::from_minor(50_000).unwrap(),
            }],
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"order_id":"00000000-0000-0000-0000-000000000000","customer_email":"buyer@example.com","total_amount":2500.00,"items":[{"product_id":1,"quantity":2,"price":500.00}]}"#
        );
    }
}
