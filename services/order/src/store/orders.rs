use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use shop_core::{Email, Money, OrderId, ProductId, UserId, events::Event};
use shop_outbox::NewMessage;
use shop_runtime::database::Transaction;
use thiserror::Error;
use uuid::Uuid;

use super::{
    Store,
    entity::{order, order_item},
    idempotency::{self, Answer, Reservation},
    unreadable,
};
use crate::domain::{Customer, Item, NotCancellable, Order, Outline, TokenHash, Viewer};

/// Why an order was not written. Nothing of it was stored.
#[derive(Debug, Error)]
pub(crate) enum PlaceError {
    /// The reservation expired, and another attempt now has the key.
    #[error("another attempt holds the idempotency key")]
    ReservationLost,
    /// The database refused, or is away.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of cancelling.
#[derive(Debug)]
pub(crate) enum Cancellation {
    /// Cancelled just now.
    Cancelled(Order),
    /// It was cancelled before.
    AlreadyCancelled(Order),
    /// It can no longer be cancelled.
    Refused(NotCancellable),
}

impl Store {
    /// Writes a new order, its `order_created`, the hash of its token if it is a guest's, and the response to the request
    /// if it had an idempotency key.
    pub(crate) async fn place(
        &self,
        order: &Order,
        token: Option<TokenHash>,
        answer: Option<(&Reservation, &Answer)>,
    ) -> Result<(), PlaceError> {
        let placed = self.database.transaction(|transaction| async move {
            if let Some((reservation, answer)) = answer
                && !idempotency::keep(&transaction, reservation, answer).await?
            {
                return Ok(Err(PlaceError::ReservationLost));
            }
            // No row to lock: before the commit nobody else knows of the order, so nobody can append events for it.
            order::Entity::insert(order_row(order, token)).exec_without_returning(&transaction).await?;
            order_item::Entity::insert_many(item_rows(order)).exec_without_returning(&transaction).await?;
            self.append(&transaction, order, &order.created()).await?;
            transaction.commit().await?;
            Ok(Ok(()))
        });
        placed.await?
    }

    /// Returns the orders that `viewer` may see, newest first, at most `limit`, and older than `after`.
    pub(crate) async fn list(
        &self,
        viewer: &Viewer,
        after: Option<OrderId>,
        limit: u64,
    ) -> Result<Vec<Order>, DbErr> {
        with_items(&self.database, self.page(visible_to(viewer), after, limit).await?).await
    }

    /// Returns the summaries of guests' orders, newest first, at most `limit`, and older than `after`.
    pub(crate) async fn outlines_of_guests(
        &self,
        after: Option<OrderId>,
        limit: u64,
    ) -> Result<Vec<Outline>, DbErr> {
        let of_guests = Condition::all().add(order::Column::CustomerId.is_null());
        self.page(of_guests, after, limit).await?.iter().map(outline).collect()
    }

    async fn page(
        &self,
        visible: Condition,
        after: Option<OrderId>,
        limit: u64,
    ) -> Result<Vec<order::Model>, DbErr> {
        let older = after.map(|id| order::Column::Id.lt(id.0));
        order::Entity::find()
            .filter(visible.add_option(older))
            .order_by_desc(order::Column::Id)
            .limit(limit)
            .all(&self.database)
            .await
    }

    /// Returns order `id`, if `viewer` may see it.
    pub(crate) async fn find(&self, viewer: &Viewer, id: OrderId) -> Result<Option<Order>, DbErr> {
        let row = order::Entity::find_by_id(id.0).filter(visible_to(viewer)).one(&self.database).await?;
        Ok(with_items(&self.database, row.into_iter().collect()).await?.pop())
    }

    /// Cancels order `id`, if `viewer` may see it; its `order_cancelled` is written in the same transaction.
    pub(crate) async fn cancel(&self, viewer: &Viewer, id: OrderId) -> Result<Option<Cancellation>, DbErr> {
        self.database.transaction(|transaction| self.cancel_in(transaction, viewer, id)).await
    }

    async fn cancel_in(
        &self,
        transaction: Transaction,
        viewer: &Viewer,
        id: OrderId,
    ) -> Result<Option<Cancellation>, DbErr> {
        // The lock comes before the append, so that the order's events are numbered in commit order. SQLite has one
        // writer at a time and needs no lock.
        let row = order::Entity::find_by_id(id.0)
            .filter(visible_to(viewer))
            .lock_exclusive()
            .one(&transaction)
            .await?;
        let Some(mut order) = with_items(&transaction, row.into_iter().collect()).await?.pop() else {
            return Ok(None);
        };
        let event = match order.cancel(viewer.cancellation_reason()) {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Some(Cancellation::AlreadyCancelled(order))),
            Err(refusal) => return Ok(Some(Cancellation::Refused(refusal))),
        };
        let change = order::ActiveModel {
            id: Set(order.id.0),
            status: Set(order.status.to_string()),
            aggregate_version: Set(order.version),
            ..Default::default()
        };
        order::Entity::update(change).exec_without_returning(&transaction).await?;
        self.append(&transaction, &order, &event).await?;
        transaction.commit().await?;
        Ok(Some(Cancellation::Cancelled(order)))
    }

    async fn append<E: Event>(
        &self,
        transaction: &impl ConnectionTrait,
        order: &Order,
        event: &E,
    ) -> Result<(), DbErr> {
        let message = NewMessage {
            id: self.clock.new_id(),
            aggregate_type: "order".to_owned(),
            aggregate_id: order.id.to_string(),
            aggregate_version: order.version,
            event_type: E::TYPE.to_owned(),
            routing_key: E::ROUTING_KEY.to_owned(),
            payload: serde_json::to_string(event).map_err(|error| DbErr::Json(error.to_string()))?,
            headers: Default::default(),
            created_at: self.clock.now(),
        };
        shop_outbox::append(transaction, &message).await
    }
}

/// The ownership condition of every query.
fn visible_to(viewer: &Viewer) -> Condition {
    match viewer {
        Viewer::Guest => Condition::all().add(order::Column::Id.is_in::<Uuid, _>([])),
        Viewer::Holder(token) => Condition::all()
            .add(order::Column::CustomerId.is_null())
            .add(order::Column::GuestToken.eq(token.0.to_vec())),
        Viewer::Customer(account) => Condition::all().add(order::Column::CustomerId.eq(account.id.0)),
        Viewer::Admin(_) => Condition::all(),
    }
}

fn order_row(order: &Order, token: Option<TokenHash>) -> order::ActiveModel {
    order::ActiveModel {
        id: Set(order.id.0),
        customer_id: Set(order.customer.account.map(|account| account.0)),
        customer_email: Set(order.customer.email.to_string()),
        total_amount: Set(order.total.minor()),
        currency: Set(order.currency.clone()),
        status: Set(order.status.to_string()),
        aggregate_version: Set(order.version),
        created_at: Set(order.created_at),
        guest_token: Set(token.map(|hash| hash.0.to_vec())),
    }
}

fn item_rows(order: &Order) -> impl Iterator<Item = order_item::ActiveModel> {
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
async fn with_items(connection: &impl ConnectionTrait, rows: Vec<order::Model>) -> Result<Vec<Order>, DbErr> {
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

fn outline(row: &order::Model) -> Result<Outline, DbErr> {
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
    Ok(Order {
        id: OrderId(row.id),
        customer: Customer {
            account: row.customer_id.map(UserId),
            email: Email::from_stored(&row.customer_email).map_err(|_| unreadable("customer_email"))?,
        },
        items,
        total: money(row.total_amount, "total_amount")?,
        currency: row.currency,
        status: row.status.parse().map_err(|_| unreadable("status"))?,
        version: row.aggregate_version,
        created_at: row.created_at,
    })
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
