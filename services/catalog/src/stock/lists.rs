//! The books, page by page, for administrators.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use shop_core::{OrderId, ProductId};
use shop_runtime::database::Database;
use uuid::Uuid;

use super::{
    books::unreadable,
    entity::{reservation, reservation_line, stock},
    life::State,
    lines::Line,
};

/// The stock of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) product: ProductId,
    pub(crate) received: i64,
    pub(crate) on_hand: i64,
    pub(crate) reserved: i64,
}

/// A reservation with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) order: OrderId,
    pub(crate) state: State,
    /// By product.
    pub(crate) lines: Vec<Line>,
    pub(crate) reserved_until: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// The first `limit` products after `after`, by id.
pub(crate) async fn levels(
    database: &Database,
    after: Option<ProductId>,
    limit: u64,
) -> Result<Vec<Level>, DbErr> {
    let mut query = stock::Entity::find().order_by_asc(stock::Column::ProductId).limit(limit);
    if let Some(after) = after {
        query = query.filter(stock::Column::ProductId.gt(after.0));
    }
    let level = |row: stock::Model| Level {
        product: ProductId(row.product_id),
        received: row.received,
        on_hand: row.on_hand,
        reserved: row.reserved,
    };
    Ok(query.all(database).await?.into_iter().map(level).collect())
}

/// The reservations of the newest `limit` orders that are older than `before`, in `state` if that is given.
pub(crate) async fn reservations(
    database: &Database,
    state: Option<State>,
    before: Option<OrderId>,
    limit: u64,
) -> Result<Vec<Kept>, DbErr> {
    let mut query = reservation::Entity::find().order_by_desc(reservation::Column::OrderId).limit(limit);
    if let Some(state) = state {
        query = query.filter(reservation::Column::State.eq(state.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(reservation::Column::OrderId.lt(before.0));
    }
    let rows = query.all(database).await?;
    let mut lines = lines_of(database, &rows).await?;
    rows.iter().map(|row| kept(&mut lines, row)).collect()
}

/// The lines of all `rows`, with one statement.
async fn lines_of(
    database: &Database,
    rows: &[reservation::Model],
) -> Result<HashMap<Uuid, Vec<Line>>, DbErr> {
    let mut lines: HashMap<Uuid, Vec<Line>> = HashMap::new();
    if rows.is_empty() {
        return Ok(lines);
    }
    let found = reservation_line::Entity::find()
        .filter(reservation_line::Column::OrderId.is_in(rows.iter().map(|row| row.order_id)))
        .order_by_asc(reservation_line::Column::OrderId)
        .order_by_asc(reservation_line::Column::ProductId)
        .all(database)
        .await?;
    for row in found {
        let quantity = row.quantity.try_into().map_err(|_| unreadable("quantity"))?;
        lines.entry(row.order_id).or_default().push(Line { product: ProductId(row.product_id), quantity });
    }
    Ok(lines)
}

fn kept(lines: &mut HashMap<Uuid, Vec<Line>>, row: &reservation::Model) -> Result<Kept, DbErr> {
    Ok(Kept {
        order: OrderId(row.order_id),
        state: row.state.parse().map_err(|_| unreadable("state"))?,
        lines: lines.remove(&row.order_id).unwrap_or_default(),
        reserved_until: row.reserved_until,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
