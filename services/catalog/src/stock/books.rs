//! Reservations and the movements of stock, in a transaction. Each statement is set-based: it works on all lines of an order at once.
//!
//! # Locks
//! The reservation's row comes first, so that two events of one order take turns. Then come the products' rows, in the order of their ids, so
//! that two orders with the same products never wait for each other in a circle. Nothing else is done while these are held but one
//! UPDATE, the event's INSERT and the commit, and an order for which there are too few pieces locks no row of a product that is sold out.
//! SQLite has one writer at a time and needs no lock.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _, Statement, Value,
    sea_query::{LockBehavior, LockType, OnConflict},
};
use shop_core::{OrderId, ProductId, events::Shortage};

use super::{
    entity::{reservation, reservation_line},
    life::{Movement, Reservation, State},
    lines::{Affected, Line},
};

/// Returns the reservation of `order`, and locks it.
pub(crate) async fn find(
    transaction: &impl ConnectionTrait,
    order: OrderId,
) -> Result<Option<Reservation>, DbErr> {
    let row = reservation::Entity::find_by_id(order.0).lock_exclusive().one(transaction).await?;
    row.as_ref().map(read).transpose()
}

/// The same, but `None` for one that another transaction has locked: it is being dealt with.
pub(crate) async fn find_unless_locked(
    transaction: &impl ConnectionTrait,
    order: OrderId,
) -> Result<Option<Reservation>, DbErr> {
    let row = reservation::Entity::find_by_id(order.0)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(transaction)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Writes the first state of the reservation of `order`; returns whether there was none. Waits for a transaction that is just writing one.
pub(crate) async fn open(
    transaction: &impl ConnectionTrait,
    order: OrderId,
    first: Reservation,
    reserved_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let row = reservation::ActiveModel {
        order_id: Set(order.0),
        state: Set(first.state.as_str().to_owned()),
        cancelled: Set(first.is_cancelled),
        version: Set(first.version),
        reserved_until: Set(reserved_until),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let unless_there = OnConflict::column(reservation::Column::OrderId).do_nothing().to_owned();
    let inserted = reservation::Entity::insert(row).on_conflict(unless_there);
    Ok(inserted.exec_without_returning(transaction).await? > 0)
}

/// Writes the lines of a reservation that was just opened.
pub(crate) async fn write_lines(
    transaction: &impl ConnectionTrait,
    order: OrderId,
    lines: &[Line],
) -> Result<(), DbErr> {
    if lines.is_empty() {
        return Ok(());
    }
    let rows = lines.iter().map(|line| reservation_line::ActiveModel {
        order_id: Set(order.0),
        product_id: Set(line.product.0),
        quantity: Set(line.quantity.into()),
    });
    reservation_line::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Writes the reservation's new state.
pub(crate) async fn save(
    transaction: &impl ConnectionTrait,
    order: OrderId,
    changed: Reservation,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let mut row = reservation::ActiveModel {
        order_id: Set(order.0),
        state: Set(changed.state.as_str().to_owned()),
        cancelled: Set(changed.is_cancelled),
        version: Set(changed.version),
        updated_at: Set(now),
        ..Default::default()
    };
    if changed.state == State::Rejected {
        row.reserved_until = Set(None);
    }
    reservation::Entity::update(row).exec_without_returning(transaction).await?;
    Ok(())
}

/// Reservations whose time is over, those that ended first, at most `limit`.
pub(crate) async fn ended(
    database: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<OrderId>, DbErr> {
    let ids = reservation::Entity::find()
        .select_only()
        .column(reservation::Column::OrderId)
        .filter(reservation::Column::State.eq(State::Reserved.as_str()))
        .filter(reservation::Column::ReservedUntil.lte(now))
        .order_by_asc(reservation::Column::ReservedUntil)
        .limit(limit)
        .into_tuple()
        .all(database)
        .await?;
    Ok(ids.into_iter().map(OrderId).collect())
}

/// The outcome of a movement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// All pieces were moved.
    All {
        /// A buyer sees the difference: something is sold out now, or back.
        is_seen: bool,
    },
    /// Nothing was moved. The products of which there are too few pieces; none if the order has no lines.
    Nothing(Vec<Shortage>),
    /// Nothing was moved, because there were too few pieces, and now there are enough: somebody gave some back at this very moment.
    Meanwhile,
}

/// Moves the pieces of all lines of `order`, or none.
pub(crate) async fn shift(
    transaction: &impl ConnectionTrait,
    order: OrderId,
    movement: Movement,
) -> Result<Moved, DbErr> {
    let affected = lock(transaction, order, movement).await?;
    if movement.takes() && !affected.is_complete() {
        return why_not(transaction, order).await;
    }
    let values = [
        order.0.into(),
        movement.on_hand().into(),
        movement.reserved().into(),
        i64::from(movement.available() > 0).into(),
    ];
    transaction.execute_raw(statement(transaction, SHIFT, values)).await?;
    Ok(Moved::All { is_seen: affected.products.iter().any(|product| product.is_seen(movement)) })
}

/// `$1`: the order; `$2` and `$3`: by how much `on_hand` and `reserved` change for each piece; `$4`: 1 if pieces become available. Those of
/// a deleted product are written off instead.
const SHIFT: &str = "
UPDATE stock SET
    on_hand = on_hand + ($2 - CASE WHEN discontinued THEN $4 ELSE 0 END) * line.quantity,
    reserved = reserved + $3 * line.quantity,
    received = received - CASE WHEN discontinued THEN $4 ELSE 0 END * line.quantity
FROM reservation_lines AS line
WHERE line.order_id = $1 AND stock.product_id = line.product_id";

/// The products of an order that were locked.
struct Locked {
    products: Vec<Affected>,
    /// How many lines the order has.
    lines: i64,
}

impl Locked {
    fn is_complete(&self) -> bool {
        self.lines > 0 && usize::try_from(self.lines) == Ok(self.products.len())
    }
}

/// Locks the products of `order`; for a movement that takes available pieces, only those of which there are enough.
async fn lock(
    transaction: &impl ConnectionTrait,
    order: OrderId,
    movement: Movement,
) -> Result<Locked, DbErr> {
    let which = if movement.takes() { "AND stock.on_hand - stock.reserved >= line.quantity" } else { "" };
    let lock = match transaction.get_database_backend() {
        DbBackend::Postgres => "FOR NO KEY UPDATE OF stock",
        _ => "",
    };
    // What is read from a locked row is its newest version, and the condition holds for that.
    let sql = format!(
        "
SELECT
    line.quantity AS quantity,
    stock.on_hand - stock.reserved AS available,
    stock.discontinued AS discontinued,
    (SELECT count(*) FROM reservation_lines WHERE order_id = $1) AS lines
FROM reservation_lines AS line JOIN stock ON stock.product_id = line.product_id
WHERE line.order_id = $1 {which}
ORDER BY stock.product_id {lock}"
    );
    let rows = transaction.query_all_raw(statement(transaction, &sql, [order.0.into()])).await?;
    let lines = rows.first().map_or(Ok(0), |row| row.try_get("", "lines"))?;
    let products = rows.iter().map(affected).collect::<Result<_, _>>()?;
    Ok(Locked { products, lines })
}

fn affected(row: &QueryResult) -> Result<Affected, DbErr> {
    Ok(Affected {
        quantity: row.try_get("", "quantity")?,
        available: row.try_get("", "available")?,
        is_discontinued: row.try_get("", "discontinued")?,
    })
}

/// Why the pieces of `order` could not be moved. Of a product that is not known there are none.
async fn why_not(transaction: &impl ConnectionTrait, order: OrderId) -> Result<Moved, DbErr> {
    let rows = transaction.query_all_raw(statement(transaction, AVAILABLE, [order.0.into()])).await?;
    let lines: Vec<Shortage> = rows.iter().map(shortage).collect::<Result<_, _>>()?;
    let has_lines = !lines.is_empty();
    let shortages: Vec<_> = lines.into_iter().filter(|line| line.available < line.wanted).collect();
    Ok(if has_lines && shortages.is_empty() { Moved::Meanwhile } else { Moved::Nothing(shortages) })
}

const AVAILABLE: &str = "
SELECT line.product_id, line.quantity AS wanted, coalesce(stock.on_hand - stock.reserved, 0) AS available
FROM reservation_lines AS line LEFT JOIN stock ON stock.product_id = line.product_id
WHERE line.order_id = $1
ORDER BY line.product_id";

fn shortage(row: &QueryResult) -> Result<Shortage, DbErr> {
    let number = |column: &str| -> Result<u32, DbErr> {
        let number: i64 = row.try_get("", column)?;
        number.try_into().map_err(|_| unreadable(column))
    };
    Ok(Shortage {
        product_id: ProductId(row.try_get("", "product_id")?),
        wanted: number("wanted")?,
        available: number("available")?,
    })
}

fn read(row: &reservation::Model) -> Result<Reservation, DbErr> {
    let state = row.state.parse().map_err(|_| unreadable("state"))?;
    Ok(Reservation { state, is_cancelled: row.cancelled, version: row.version })
}

/// A row that this code did not write.
pub(crate) fn unreadable(column: &str) -> DbErr {
    DbErr::Type(format!("{column} contains an invalid value"))
}

pub(crate) fn statement<const N: usize>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}
