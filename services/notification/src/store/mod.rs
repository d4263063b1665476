//! The tables: orders that are known, what customers were told, and linked chats. Handlers write in the transactions of their messages.

mod entity;
mod links;
mod notifications;
mod orders;
mod retention;

use sea_orm::DbErr;
use shop_core::Clock;
use shop_runtime::database::Database;

pub(crate) use self::{
    links::Link,
    notifications::{Filter, NewNotification, Notification, State},
    retention::ROUND,
};

/// The notification service's tables.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    clock: Clock,
}

impl Store {
    /// A store on `database`; `clock` gives its rows their ids and times.
    pub(crate) fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }
}

/// A row that this code did not write.
fn unreadable(column: &str) -> DbErr {
    DbErr::Type(format!("{column} contains an invalid value"))
}
