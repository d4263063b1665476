//! Orders in the database. One transaction writes an order, its items and the event that announces it; and later what happens to it,
//! and the event that announces that.

mod at_once;
mod entity;
mod idempotency;
mod life;
mod orders;
mod rows;
#[cfg(test)]
mod tests;
mod timeline;

use sea_orm::{ConnectionTrait, DbErr};
use shop_core::{Clock, events::Event};
use shop_outbox::NewMessage;
use shop_runtime::{
    database::Database,
    events::{Aggregate, announcement},
};

pub(crate) use self::{
    idempotency::{Answer, KeyState, RETIREMENT_INTERVAL, Reservation},
    life::{Moved, News},
    orders::PlaceError,
};
use crate::domain::Order;

/// The order service's tables.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    clock: Clock,
    /// Who announces events: the service's name.
    source: &'static str,
}

impl Store {
    /// A store on `database`; `clock` gives its events their ids and times, and `source` is the service that announces them.
    pub(crate) fn new(database: Database, clock: Clock, source: &'static str) -> Self {
        Self { database, clock, source }
    }

    /// Appends `event` about `order` to the outbox.
    async fn announce<E: Event>(
        &self,
        transaction: &impl ConnectionTrait,
        order: &Order,
        event: &E,
    ) -> Result<(), DbErr> {
        shop_outbox::append(transaction, &self.announcement(order, event)?).await
    }

    fn announcement<E: Event>(&self, order: &Order, event: &E) -> Result<NewMessage, DbErr> {
        let aggregate = Aggregate { kind: "order", id: order.id.to_string(), version: order.version };
        announcement(event, aggregate, self.source, &self.clock)
            .map_err(|error| DbErr::Json(error.to_string()))
    }
}

/// A row that this code did not write.
fn unreadable(column: &str) -> DbErr {
    DbErr::Type(format!("{column} contains an invalid value"))
}
