//! The events of reservations.

use chrono::{DateTime, Utc};
use shop_core::{
    Clock, OrderId,
    events::{Event, OrderCreated, Shortage, StockRejected, StockReserved},
};
use shop_outbox::NewMessage;
use shop_runtime::events::{Aggregate, announcement};

/// What a reservation's events are about.
const KIND: &str = "reservation";

/// Everything that `order` wants is reserved until then.
pub(crate) fn reserved(order: OrderCreated, until: DateTime<Utc>) -> StockReserved {
    StockReserved {
        order_id: order.order_id,
        customer_email: order.customer_email,
        total_amount: order.total_amount,
        currency: order.currency,
        items: order.items,
        reserved_until: until,
    }
}

/// There are too few pieces; without shortages, the order's event does not say what was ordered.
pub(crate) fn rejected(order_id: OrderId, shortages: Vec<Shortage>) -> StockRejected {
    let reason = if shortages.is_empty() {
        "The order does not say what was ordered."
    } else {
        "There is not enough in stock."
    };
    StockRejected { order_id, reason: reason.to_owned(), shortages }
}

/// The reservation's time is over.
pub(crate) fn expired(order_id: OrderId) -> StockRejected {
    let reason = "The order was not confirmed in time, so its reservation has ended.".to_owned();
    StockRejected { order_id, reason, shortages: Vec::new() }
}

/// The message that announces `event` of the reservation of `order`, which has this version; `source` is the service's name.
///
/// # Errors
/// The payload cannot be written as JSON.
pub(crate) fn message<E: Event>(
    event: &E,
    order: OrderId,
    version: i64,
    source: &str,
    clock: &Clock,
) -> Result<NewMessage, serde_json::Error> {
    announcement(event, Aggregate { kind: KIND, id: order.to_string(), version }, source, clock)
}
