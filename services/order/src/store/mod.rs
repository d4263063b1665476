//! Orders in the database. One transaction writes an order, its items and the event that announces it.

mod entity;
mod idempotency;
mod orders;
#[cfg(test)]
mod tests;

use sea_orm::DbErr;
use shop_core::Clock;
use shop_runtime::database::Database;

pub(crate) use self::{
    idempotency::{Answer, KeyState, RETIREMENT_INTERVAL, Reservation},
    orders::{Cancellation, PlaceError},
};

/// The order service's tables.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    clock: Clock,
}

impl Store {
    /// A store on `database`; `clock` gives its events their ids and times.
    pub(crate) fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }
}

/// A row that this code did not write.
fn unreadable(column: &str) -> DbErr {
    DbErr::Type(format!("{column} contains an invalid value"))
}
