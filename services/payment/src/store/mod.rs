//! Payments in the database. One transaction writes a change and the event that announces it.

mod entity;
mod payments;
mod row;
#[cfg(test)]
mod tests;
mod work;

use shop_core::Clock;
use shop_runtime::database::Database;

pub(crate) use self::{
    payments::{FORGET_INTERVAL, cancel, open},
    work::{Claimed, Job},
};

/// The payment service's tables.
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
