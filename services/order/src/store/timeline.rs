//! Timelines in the database.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use shop_core::OrderId;
use uuid::Uuid;

use super::{
    Store,
    entity::{
        order,
        timeline::{ActiveModel, Column, Entity, Model},
    },
    unreadable,
};
use crate::domain::{Entry, Milestone, Order, Timeline};

/// How many orders one statement asks about.
const CHUNK: usize = 500;

impl Store {
    /// The position of the last entry of each of these orders to which something has happened since it was placed.
    pub(crate) async fn last_entries(&self, ids: &[OrderId]) -> Result<Vec<(OrderId, i16)>, DbErr> {
        let mut last = Vec::new();
        for ids in ids.chunks(CHUNK) {
            let found: Vec<(Uuid, i16)> = Entity::find()
                .select_only()
                .column(Column::OrderId)
                .column_as(Column::Seq.max(), "last")
                .filter(Column::OrderId.is_in(ids.iter().map(|id| id.0)))
                .group_by(Column::OrderId)
                .into_tuple()
                .all(&self.database)
                .await?;
            last.extend(found.into_iter().map(|(id, seq)| (OrderId(id), seq)));
        }
        Ok(last)
    }

    /// The timelines of those of these orders that exist.
    pub(crate) async fn timelines(&self, ids: &[OrderId]) -> Result<HashMap<OrderId, Timeline>, DbErr> {
        let mut timelines = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let placed: Vec<(Uuid, DateTime<Utc>)> = order::Entity::find()
                .select_only()
                .columns([order::Column::Id, order::Column::CreatedAt])
                .filter(order::Column::Id.is_in(ids.iter().map(|id| id.0)))
                .into_tuple()
                .all(&self.database)
                .await?;
            let mut later = entries(&self.database, ids.iter().map(|id| id.0)).await?;
            timelines.extend(
                placed
                    .into_iter()
                    .map(|(id, at)| (OrderId(id), Timeline::new(at, later.remove(&id).unwrap_or_default()))),
            );
        }
        Ok(timelines)
    }
}

/// The timeline of `order`.
pub(super) async fn timeline_of(connection: &impl ConnectionTrait, order: &Order) -> Result<Timeline, DbErr> {
    let later = entries(connection, [order.id.0]).await?.remove(&order.id.0).unwrap_or_default();
    Ok(Timeline::new(order.created_at, later))
}

/// Adds `entries`, of which there is at least one, to the timeline of order `id`, whose row the transaction has locked.
pub(super) async fn add(
    transaction: &impl ConnectionTrait,
    id: OrderId,
    entries: &[Entry],
) -> Result<(), DbErr> {
    let rows = entries.iter().map(|entry| ActiveModel {
        order_id: Set(id.0),
        seq: Set(entry.seq),
        at: Set(entry.at),
        event: Set(entry.event.as_str().to_owned()),
        detail: Set(entry.detail.clone()),
    });
    Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// The stored entries of each order, oldest first.
async fn entries(
    connection: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<Entry>>, DbErr> {
    let rows = Entity::find()
        .filter(Column::OrderId.is_in(ids))
        .order_by_asc(Column::OrderId)
        .order_by_asc(Column::Seq)
        .all(connection)
        .await?;
    let mut entries: HashMap<Uuid, Vec<Entry>> = HashMap::new();
    for row in rows {
        entries.entry(row.order_id).or_default().push(entry(row)?);
    }
    Ok(entries)
}

fn entry(row: Model) -> Result<Entry, DbErr> {
    Ok(Entry {
        seq: row.seq,
        at: row.at,
        event: Milestone::of_name(&row.event).map_err(|_| unreadable("event"))?,
        detail: row.detail,
    })
}
