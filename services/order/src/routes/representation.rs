use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_core::{Email, Money, OrderId, OrderStatus, ProductId};
use utoipa::ToSchema;

use crate::domain::{Item, Order};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderBody {
    /// Its id, a UUIDv7.
    id: OrderId,
    /// Where news of the order goes.
    customer_email: Email,
    /// The sum of the items.
    total_amount: Money,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    currency: String,
    /// Where it stands.
    status: OrderStatus,
    /// What was bought: each product once.
    items: Vec<ItemBody>,
    /// When it was placed.
    created_at: DateTime<Utc>,
}

/// A line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
struct ItemBody {
    product_id: ProductId,
    /// What it was called when it was bought.
    name: String,
    quantity: u32,
    /// The price of one when it was bought.
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
