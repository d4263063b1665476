use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_core::{Email, Money, OrderId, OrderStatus, ProductId};
use utoipa::ToSchema;

use crate::domain::{Item, Order, OrderToken, Outline};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderBody {
    /// Its id, a UUIDv7.
    id: OrderId,
    /// The address for news about the order.
    customer_email: Email,
    /// The sum of the items.
    total_amount: Money,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    currency: String,
    /// Its status.
    status: OrderStatus,
    /// The items: each product once.
    items: Vec<ItemBody>,
    /// When it was placed.
    created_at: DateTime<Utc>,
}

/// An order that was just placed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacedOrder)]
pub(super) struct PlacedBody {
    #[serde(flatten)]
    order: OrderBody,
    /// Proves that a guest's order is the guest's own: for `X-Order-Token`. It is shown only here; orders of
    /// accounts have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    order_token: Option<String>,
}

impl PlacedBody {
    pub(super) fn new(order: &Order, token: Option<&OrderToken>) -> Self {
        Self { order: OrderBody::from(order), order_token: token.map(OrderToken::reveal) }
    }
}

/// The summary of a guest's order that everybody may see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuestOrder)]
#[serde(deny_unknown_fields)]
pub(super) struct OutlineBody {
    /// Its id, a UUIDv7.
    id: OrderId,
    /// The guest's address, masked.
    #[schema(examples("b***@example.com"))]
    customer_email: String,
    /// The sum of the items.
    total_amount: Money,
    /// Its status.
    status: OrderStatus,
    /// When it was placed.
    created_at: DateTime<Utc>,
}

impl From<Outline> for OutlineBody {
    fn from(outline: Outline) -> Self {
        let Outline { id, masked_email, total, status, created_at } = outline;
        Self { id, customer_email: masked_email, total_amount: total, status, created_at }
    }
}

/// An order in a list: the caller's own in full, a guest's as a summary.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedOrder)]
#[serde(untagged)]
pub(super) enum ListedBody {
    Whole(OrderBody),
    Outline(OutlineBody),
}

impl ListedBody {
    pub(super) fn id(&self) -> OrderId {
        match self {
            Self::Whole(order) => order.id,
            Self::Outline(outline) => outline.id,
        }
    }
}

/// A line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
struct ItemBody {
    product_id: ProductId,
    /// Its name when it was bought.
    name: String,
    quantity: u32,
    /// The price of one piece when it was bought.
    price: Money,
}

impl From<&Order> for OrderBody {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id,
            customer_email: order.customer.email.clone(),
            total_amount: order.total,
            currency: order.currency.clone(),
            status: order.status,
            items: order.items.iter().map(ItemBody::from).collect(),
            created_at: order.created_at,
        }
    }
}

impl From<&Item> for ItemBody {
    fn from(item: &Item) -> Self {
        Self {
            product_id: item.product_id,
            name: item.name.clone(),
            quantity: item.quantity,
            price: item.price,
        }
    }
}
