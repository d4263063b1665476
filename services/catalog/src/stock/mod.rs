//! Stock: how many pieces there are, how many of them are reserved, and for which orders.
//!
//! It has its own tables, apart from the products' text: an administrator who changes a product never writes over a reservation. Orders
//! are known by their events only. For each product, `on_hand` pieces are in the warehouse, `reserved` of them are kept for orders,
//! and the rest is available. `received` counts every piece that was ever put in, so that `received` minus what was sold is always
//! `on_hand`.
//!
//! [`life`] decides, without a database, what an event does to a reservation. [`books`] are the statements, and [`handlers`] and
//! [`expiry`] bring both together in a [`booking`] transaction.

mod announce;
mod booking;
mod books;
mod desk;
pub(crate) mod entity;
mod expiry;
mod handlers;
mod life;
mod lines;
mod lists;
mod metrics;
pub(crate) mod shelf;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    booking::Stockroom,
    desk::Desk,
    expiry::expire,
    handlers::{consumer, subscription},
    life::State,
    lines::Line,
    lists::{Kept, Level, levels, reservations},
    metrics::Metrics,
};
