use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use shop_core::{Currency, Money, OrderId, OrderStatus, ProductId, events::CancellationCode};

/// An order.
#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The customer's address.
    pub customer_email: String,
    /// The sum of the lines.
    pub total_amount: Money,
    /// The amounts' currency.
    pub currency: Currency,
    /// Its status; `None` for one that only a newer order_service knows.
    #[serde(deserialize_with = "known_status")]
    pub status: Option<OrderStatus>,
    /// The items.
    pub items: Vec<OrderedLine>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// What has happened to it, the oldest first. Empty in lists.
    #[serde(default)]
    pub timeline: Vec<Step>,
    /// Why it was cancelled, if it was. `None` in lists.
    #[serde(default)]
    pub cancellation: Option<Cancellation>,
    /// The carrier's number of the parcel, if it has one. `None` in lists.
    #[serde(default)]
    pub tracking_number: Option<String>,
    /// The trace in which it was placed: 32 hexadecimal digits. `None` in lists.
    #[serde(default)]
    pub trace_id: Option<String>,
}

/// A line of an order.
#[derive(Clone, Debug, Deserialize)]
pub struct OrderedLine {
    /// The product.
    pub product_id: ProductId,
    /// Its name when it was ordered.
    pub name: String,
    /// The quantity.
    pub quantity: u32,
    /// The price of one piece when it was ordered.
    pub price: Money,
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// Counts the steps of one order upwards.
    pub seq: u64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: Happening,
    /// More about it, for programs: the code of a cancellation, the parcel's number.
    #[serde(default, deserialize_with = "text_or_none")]
    pub detail: Option<String>,
    /// The order's status after it. Only while an order is followed, and `None` for a status that only a newer order_service knows.
    #[serde(default, deserialize_with = "known_status")]
    pub status: Option<OrderStatus>,
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It was placed.
    Placed,
    /// Everything in it is set aside.
    StockReserved,
    /// It is paid.
    PaymentProcessed,
    /// It is confirmed.
    Confirmed,
    /// It is cancelled.
    Cancelled,
    /// The customer has the money back.
    PaymentRefunded,
    /// It was handed to the carrier.
    Shipped,
    /// It has reached the customer.
    Delivered,
    /// Something that only a newer order_service knows.
    #[serde(other)]
    Other,
}

/// Why an order was cancelled.
#[derive(Clone, Debug, Deserialize)]
pub struct Cancellation {
    /// For programs. [`CancellationCode::Unspecified`] also for a reason that only a newer order_service knows.
    #[serde(default)]
    pub code: CancellationCode,
    /// In English, for people of the shop.
    #[serde(default)]
    pub reason: String,
}

impl Order {
    /// Whether it may still be cancelled.
    pub fn may_be_cancelled(&self) -> bool {
        self.status.is_some_and(|status| status.may_become(OrderStatus::Cancelled))
    }

    /// Whether nothing more is going to happen to it: it is delivered, or it is cancelled and nothing is left to give back.
    pub fn is_over(&self) -> bool {
        let has = |happening| self.timeline.iter().any(|step| step.event == happening);
        match self.status {
            Some(OrderStatus::Delivered) => true,
            Some(OrderStatus::Cancelled) => {
                !has(Happening::PaymentProcessed) || has(Happening::PaymentRefunded)
            }
            _ => false,
        }
    }

    /// The last step that is known of it, for [`super::Orders::follow`].
    pub fn last_step(&self) -> Option<u64> {
        self.timeline.iter().map(|step| step.seq).max()
    }
}

impl OrderedLine {
    /// The price of the line.
    pub fn sum(&self) -> Money {
        self.price.checked_mul(self.quantity).unwrap_or(Money::MAX)
    }
}

/// A service that is newer than this client may know more statuses, and its orders must be readable all the same.
fn known_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OrderStatus>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Nobody acts on the text, so anything else in its place is no reason to refuse the order.
fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}
