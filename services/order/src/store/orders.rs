//! Placing orders, and reading them.

use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use shop_core::{OrderId, events::OrderCreated};
use thiserror::Error;

use super::{
    Store,
    entity::{order, order_item},
    idempotency::{self, Answer, Reservation},
    rows::{item_rows, order_row, outline, visible_to, with_items},
    timeline::timeline_of,
};
use crate::domain::{Life, Order, Outline, TokenHash, Viewer};

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

impl Store {
    /// Writes a new order, the event that announces it, the hash of its token if it is a guest's, and the response to the
    /// request if it had an idempotency key.
    pub(crate) async fn place(
        &self,
        order: &Order,
        created: &OrderCreated,
        token: Option<TokenHash>,
        answer: Option<(&Reservation, &Answer)>,
    ) -> Result<(), PlaceError> {
        if self.database.get_database_backend() == DbBackend::Postgres {
            return self.place_at_once(order, created, token, answer).await;
        }
        let placed = self.database.transaction(|transaction| async move {
            if let Some((reservation, answer)) = answer
                && !idempotency::keep(&transaction, reservation, answer).await?
            {
                return Ok(Err(PlaceError::ReservationLost));
            }
            // No row to lock: before the commit nobody else knows of the order, so nobody can append events for it.
            order::Entity::insert(order_row(order, token)).exec_without_returning(&transaction).await?;
            order_item::Entity::insert_many(item_rows(order)).exec_without_returning(&transaction).await?;
            self.announce(&transaction, order, created).await?;
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

    /// Returns order `id` and its timeline, if `viewer` may see it.
    pub(crate) async fn life(&self, viewer: &Viewer, id: OrderId) -> Result<Option<Life>, DbErr> {
        let Some(life) = self.read_life(viewer, id).await? else { return Ok(None) };
        if life.timeline.status() == life.order.status {
            return Ok(Some(life));
        }
        // It was changed between the two statements; or a previous release has changed it, which writes no timeline.
        self.read_life(viewer, id).await
    }

    async fn read_life(&self, viewer: &Viewer, id: OrderId) -> Result<Option<Life>, DbErr> {
        let Some(order) = self.find(viewer, id).await? else { return Ok(None) };
        let timeline = timeline_of(&self.database, &order).await?;
        Ok(Some(Life { order, timeline }))
    }
}
