//! Orders as rows, and rows as orders.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _,
};
use serde::{
    Deserialize as _,
    de::{IntoDeserializer as _, value::Error as Unread},
};
use shop_core::{Email, Language, Money, OrderId, OrderStatus, ProductId, UserId, events::CancellationCode};
use uuid::Uuid;

use super::{
    entity::{order, order_item},
    unreadable,
};
use crate::domain::{Cancellation, Customer, Item, Order, Outline, TokenHash, Viewer};

/// The ownership condition of every query.
pub(super) fn visible_to(viewer: &Viewer) -> Condition {
    match viewer {
        Viewer::Guest => Condition::all().add(order::Column::Id.is_in::<Uuid, _>([])),
        Viewer::Holder(token) => Condition::all()
            .add(order::Column::CustomerId.is_null())
            .add(order::Column::GuestToken.eq(token.0.to_vec())),
        Viewer::Customer(account) => Condition::all().add(order::Column::CustomerId.eq(account.id.0)),
        Viewer::Admin(_) => Condition::all(),
    }
}

pub(super) fn order_row(order: &Order, token: Option<TokenHash>) -> order::ActiveModel {
    order::ActiveModel {
        id: Set(order.id.0),
        customer_id: Set(order.customer.account.map(|account| account.0)),
        customer_email: Set(order.customer.email.to_string()),
        total_amount: Set(order.total.minor()),
        currency: Set(order.currency.to_string()),
        status: Set(order.status.to_string()),
        aggregate_version: Set(order.version),
        created_at: Set(order.created_at),
        guest_token: Set(token.map(|hash| hash.0.to_vec())),
        cancellation_code: Set(None),
        cancellation_reason: Set(None),
        tracking_number: Set(None),
        language: Set(order.language.map(|language| language.code().to_owned())),
        trace_parent: Set(order.trace_parent.clone()),
    }
}

pub(super) fn item_rows(order: &Order) -> impl Iterator<Item = order_item::ActiveModel> {
    (0..).zip(&order.items).map(|(position, item)| order_item::ActiveModel {
        order_id: Set(order.id.0),
        position: Set(position),
        product_id: Set(item.product_id.0),
        name: Set(item.name.clone()),
        quantity: Set(item.quantity.cast_signed()),
        price: Set(item.price.minor()),
    })
}

/// Reads the items of all `rows` with one statement.
pub(super) async fn with_items(
    connection: &impl ConnectionTrait,
    rows: Vec<order::Model>,
) -> Result<Vec<Order>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let items = order_item::Entity::find()
        .filter(order_item::Column::OrderId.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(order_item::Column::OrderId)
        .order_by_asc(order_item::Column::Position)
        .all(connection)
        .await?;
    let mut items_of: HashMap<Uuid, Vec<Item>> = HashMap::new();
    for row in items {
        items_of.entry(row.order_id).or_default().push(item(row)?);
    }
    rows.into_iter()
        .map(|row| {
            let items = items_of.remove(&row.id).unwrap_or_default();
            order(row, items)
        })
        .collect()
}

pub(super) fn outline(row: &order::Model) -> Result<Outline, DbErr> {
    let email = row.customer_email.parse().map_err(|_| unreadable("customer_email"))?;
    Ok(Outline {
        id: OrderId(row.id),
        masked_email: Outline::mask(&email),
        total: money(row.total_amount, "total_amount")?,
        status: row.status.parse().map_err(|_| unreadable("status"))?,
        created_at: row.created_at,
    })
}

fn order(row: order::Model, items: Vec<Item>) -> Result<Order, DbErr> {
    let status = row.status.parse().map_err(|_| unreadable("status"))?;
    Ok(Order {
        id: OrderId(row.id),
        customer: Customer {
            account: row.customer_id.map(UserId),
            email: Email::from_stored(&row.customer_email).map_err(|_| unreadable("customer_email"))?,
        },
        items,
        total: money(row.total_amount, "total_amount")?,
        currency: row.currency.parse().map_err(|_| unreadable("currency"))?,
        status,
        version: row.aggregate_version,
        created_at: row.created_at,
        language: row.language.as_deref().and_then(Language::of_tag),
        trace_parent: row.trace_parent,
        cancellation: (status == OrderStatus::Cancelled)
            .then(|| cancellation(row.cancellation_code.as_deref(), row.cancellation_reason)),
        tracking_number: row.tracking_number,
    })
}

/// A release that knew no codes leaves them out.
fn cancellation(code: Option<&str>, reason: Option<String>) -> Cancellation {
    let unspecified = Cancellation::unspecified();
    let code = code.map(|code| CancellationCode::deserialize(code.into_deserializer()));
    Cancellation {
        code: code.and_then(|code: Result<_, Unread>| code.ok()).unwrap_or(unspecified.code),
        reason: reason.unwrap_or(unspecified.reason),
    }
}

fn item(row: order_item::Model) -> Result<Item, DbErr> {
    Ok(Item {
        product_id: ProductId(row.product_id),
        name: row.name,
        quantity: row.quantity.try_into().map_err(|_| unreadable("quantity"))?,
        price: money(row.price, "price")?,
    })
}

fn money(minor: i64, column: &str) -> Result<Money, DbErr> {
    Money::from_minor(minor).map_err(|_| unreadable(column))
}
