//! The bot as a whole: between a Bot API server and a shop that speaks the services' contracts.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod conversation;
mod delivery;
mod follows;
mod secrets;
mod shop;
mod street;
