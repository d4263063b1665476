//! The contracts of the events on the exchange [`EXCHANGE`]: names, routing keys and payloads.
//!
//! Payloads only gain fields. A reader ignores fields that it does not know, and a field that was added later has a
//! default, so an event that was written by an older or a newer version can be read. The files in `tests/golden` are
//! payloads that have been published once and must stay readable.

mod order;
mod payment;
mod stock;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

pub use self::{
    order::{
        CancellationCode, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderShipped,
        OrderedItem,
    },
    payment::{PaymentFailed, PaymentFailure, PaymentProcessed, PaymentRefunded},
    stock::{Shortage, StockRejected, StockReserved},
};
use crate::{Currency, Email};

/// The topic exchange for all events of the shop.
pub const EXCHANGE: &str = "shop_events";

/// An event's payload, with the event's name and routing key.
pub trait Event: Serialize + DeserializeOwned {
    /// The AMQP `type` and the outbox row's `event_type`.
    const TYPE: &'static str;
    /// The AMQP routing key.
    const ROUTING_KEY: &'static str;
}

/// An event may be older than a rule of [`Email`]'s `FromStr`; its order was accepted anyway.
fn accepted_before<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Email, D::Error> {
    let text = String::deserialize(deserializer)?;
    Email::from_stored(&text).map_err(serde::de::Error::custom)
}

/// The currency of events that are older than the field.
fn first_currency() -> Currency {
    Currency::RUB
}
