//! The order service over HTTP, on SQLite and on PostgreSQL, with a catalog that follows the contract.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cancelling;
mod databases;
mod events;
mod fake_catalog;
mod guests;
mod harness;
mod hostile;
mod idempotency;
mod life;
mod listing;
mod news;
mod ownership;
mod placing;
mod shipping;
mod timeouts;
mod waiting;
