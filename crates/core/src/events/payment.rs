use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    code,
    event::Event,
    read::{accepted_before, first_currency},
};
use crate::{Currency, Email, Money, OrderId, PaymentId};

/// An order was paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentProcessed {
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// What was charged.
    pub amount: Money,
    /// The amount's currency. RUB in events that are older than this field.
    #[serde(default = "first_currency")]
    pub currency: Currency,
}

impl Event for PaymentProcessed {
    const TYPE: &'static str = "payment_processed";
    const ROUTING_KEY: &'static str = "payment.processed";
}

/// Why an order was not paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentFailure {
    /// The provider could not be reached for too long, and has charged nothing.
    Unavailable,
    /// The provider or the bank declined it; also what a later version says that this reader does not know.
    #[default]
    #[serde(other)]
    Declined,
}

impl PaymentFailure {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Declined, Self::Unavailable];

    /// The name on the wire and in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Unavailable => "unavailable",
        }
    }
}

impl PartialSchema for PaymentFailure {
    fn schema() -> RefOr<Schema> {
        let default = Self::default().as_str();
        code::schema("Why an order was not paid.", Self::ALL.map(Self::as_str), default)
    }
}

impl ToSchema for PaymentFailure {}

/// An order was not paid, and nothing was charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentFailed {
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// What should have been charged.
    pub amount: Money,
    /// The amount's currency. RUB in events that are older than this field.
    #[serde(default = "first_currency")]
    pub currency: Currency,
    /// The reason, for programs.
    #[serde(default)]
    pub code: PaymentFailure,
    /// The reason, for people to read.
    pub reason: String,
}

impl Event for PaymentFailed {
    const TYPE: &'static str = "payment_failed";
    const ROUTING_KEY: &'static str = "payment.failed";
}

/// The charge of a cancelled order was given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentRefunded {
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The customer's address.
    #[serde(deserialize_with = "accepted_before")]
    pub customer_email: Email,
    /// What was given back.
    pub amount: Money,
    /// The amount's currency. RUB in events that are older than this field.
    #[serde(default = "first_currency")]
    pub currency: Currency,
}

impl Event for PaymentRefunded {
    const TYPE: &'static str = "payment_refunded";
    const ROUTING_KEY: &'static str = "payment.refunded";
}
