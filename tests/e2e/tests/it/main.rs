//! The shop from outside: its binaries, and what a person, a browser, a bot's user or a consumer sees of them.
//!
//! Nothing here imports a service. The tests run what `SHOP_TEST_BIN_DIR` holds; `cargo xtask test` builds it.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bot;
mod browser;
mod contract;
mod controller;
mod controller_faults;
mod controller_soak;
mod controller_troubles;
mod controller_warnings;
mod events;
mod examples;
mod faults;
mod outbox_faults;
mod support;
mod surroundings_soak;
mod traces;
mod trying;
