use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    code,
    event::Event,
    read::{accepted_before, first_currency, supported},
};
use crate::{Currency, Email, Language, Money, OrderId, ProductId};

/// A line of an order, at the price that the customer agreed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderedItem {
    /// The product.
    pub product_id: ProductId,
    /// The quantity.
    pub quantity: u32,
    /// The price of one piece.
    pub price: Money,
    /// The product's name when it was bought. Empty in events that are older than this field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// An order was placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// The currency of all amounts. RUB in events that are older than this field.
    #[serde(default = "first_currency")]
    pub currency: Currency,
    /// The language in which to write to the customer, if it is known: `en` or `ru`, and later perhaps others (BCP 47).
    #[serde(default, deserialize_with = "supported", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub language: Option<Language>,
    /// For a guest's order: the token that proves whose it is, sealed. Only the notification service can open it, for the link in
    /// its mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_token: Option<String>,
}

impl Event for OrderCreated {
    const TYPE: &'static str = "order_created";
    const ROUTING_KEY: &'static str = "order.created";
}

/// Stock is reserved and the customer has paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderConfirmed {
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
}

impl Event for OrderConfirmed {
    const TYPE: &'static str = "order_confirmed";
    const ROUTING_KEY: &'static str = "order.confirmed";
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancellationCode {
    /// The customer did it.
    ByCustomer,
    /// Somebody of the shop did it.
    ByShop,
    /// There was not enough of a product.
    OutOfStock,
    /// The payment was declined.
    PaymentDeclined,
    /// The payment provider could not be reached.
    PaymentUnavailable,
    /// It was not confirmed in time.
    TimedOut,
    /// The event is older than this field, or newer than this reader.
    #[default]
    #[serde(other)]
    Unspecified,
}

impl CancellationCode {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ByCustomer,
        Self::ByShop,
        Self::OutOfStock,
        Self::PaymentDeclined,
        Self::PaymentUnavailable,
        Self::TimedOut,
        Self::Unspecified,
    ];

    /// The name on the wire and in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByCustomer => "by_customer",
            Self::ByShop => "by_shop",
            Self::OutOfStock => "out_of_stock",
            Self::PaymentDeclined => "payment_declined",
            Self::PaymentUnavailable => "payment_unavailable",
            Self::TimedOut => "timed_out",
            Self::Unspecified => "unspecified",
        }
    }
}

impl PartialSchema for CancellationCode {
    fn schema() -> RefOr<Schema> {
        let default = Self::default().as_str();
        code::schema("Why an order was cancelled.", Self::ALL.map(Self::as_str), default)
    }
}

impl ToSchema for CancellationCode {}

/// An order was cancelled. What was reserved for it or charged is given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// The reason, for programs. `unspecified` in events that are older than this field.
    #[serde(default)]
    pub code: CancellationCode,
    /// The currency of all amounts. RUB in events that are older than this field.
    #[serde(default = "first_currency")]
    pub currency: Currency,
}

impl Event for OrderCancelled {
    const TYPE: &'static str = "order_cancelled";
    const ROUTING_KEY: &'static str = "order.cancelled";
}

/// A confirmed order was handed to the carrier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderShipped {
    /// The order.
    pub order_id: OrderId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// The carrier's number of the parcel, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
}

impl Event for OrderShipped {
    const TYPE: &'static str = "order_shipped";
    const ROUTING_KEY: &'static str = "order.shipped";
}

/// A shipped order has reached the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderDelivered {
    /// The order.
    pub order_id: OrderId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
}

impl Event for OrderDelivered {
    const TYPE: &'static str = "order_delivered";
    const ROUTING_KEY: &'static str = "order.delivered";
}
