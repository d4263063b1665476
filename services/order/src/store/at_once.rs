//! A new order in one statement, on PostgreSQL. As a transaction of five statements it would cost most of the service's time.

use sea_orm::Value;
use shop_core::{Language, events::OrderCreated};
use shop_outbox::With;
use uuid::Uuid;

use super::{
    Store,
    idempotency::{Answer, Reservation},
    orders::PlaceError,
};
use crate::domain::{Item, Order, TokenHash};

/// `$1` to `$11`: the order; `$12` to `$16`: its items.
macro_rules! place {
    ($kept:literal) => {
        concat!(
            "
WITH kept AS (",
            $kept,
            "),
placed AS (
    INSERT INTO orders (id, customer_id, customer_email, total_amount, currency, status, aggregate_version, created_at, guest_token,
                        language, trace_parent)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM kept
    RETURNING id
), lines AS (
    INSERT INTO order_items (order_id, position, product_id, name, quantity, price)
    SELECT placed.id, line.*
    FROM placed, unnest($12::smallint[], $13::bigint[], $14::text[], $15::integer[], $16::bigint[]) AS line
)"
        )
    };
}

const PLACE: &str = place!("SELECT");

/// The response is stored with the order, or neither is. `$17` to `$20`: the response; `$21` and `$22`: the key and the attempt that
/// holds it.
const PLACE_AND_KEEP: &str = place!(
    "
    UPDATE idempotency_keys SET status = $17, location = $18, body = $19, sealed_token = $20
    WHERE id = $21 AND attempt = $22 AND status IS NULL
    RETURNING id"
);

impl Store {
    /// As [`place`](Store::place), on PostgreSQL.
    pub(super) async fn place_at_once(
        &self,
        order: &Order,
        created: &OrderCreated,
        token: Option<TokenHash>,
        answer: Option<(&Reservation, &Answer)>,
    ) -> Result<(), PlaceError> {
        let mut values = columns(order, token);
        let sql = match answer {
            Some((reservation, answer)) => {
                values.extend(kept(reservation, answer));
                PLACE_AND_KEEP
            }
            None => PLACE,
        };
        let message = self.announcement(order, created)?;
        let place = || {
            let with = With { sql, values: values.clone(), made: "placed" };
            shop_outbox::append_with(&self.database, with, &message)
        };
        match self.database.statement(place).await? {
            true => Ok(()),
            false => Err(PlaceError::ReservationLost),
        }
    }
}

fn columns(order: &Order, token: Option<TokenHash>) -> Vec<Value> {
    let items = &order.items;
    vec![
        order.id.0.into(),
        order.customer.account.map(|account| account.0).into(),
        order.customer.email.as_str().into(),
        order.total.minor().into(),
        order.currency.as_str().into(),
        order.status.as_str().into(),
        order.version.into(),
        order.created_at.into(),
        token.map(|hash| hash.0.to_vec()).into(),
        order.language.map(Language::code).into(),
        order.trace_parent.as_deref().into(),
        (0..).take(items.len()).collect::<Vec<i16>>().into(),
        list(items, |item| item.product_id.0).into(),
        list(items, |item| item.name.clone()).into(),
        list(items, |item| item.quantity.cast_signed()).into(),
        list(items, |item| item.price.minor()).into(),
    ]
}

fn list<T>(items: &[Item], column: impl Fn(&Item) -> T) -> Vec<T> {
    items.iter().map(column).collect()
}

fn kept(reservation: &Reservation, answer: &Answer) -> [Value; 6] {
    let (key, attempt): ([u8; 32], Uuid) = reservation.parts();
    [
        answer.status.cast_signed().into(),
        answer.location.as_str().into(),
        answer.body.as_str().into(),
        answer.sealed_token.map(|sealed| sealed.to_vec()).into(),
        key.to_vec().into(),
        attempt.into(),
    ]
}
