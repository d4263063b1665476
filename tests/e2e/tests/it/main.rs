//! The shop from outside: its binaries, and what people, browsers, bot users and consumers see of them.
//!
//! Nothing here imports a service. The tests run the binaries in `SHOP_TEST_BIN_DIR`; `cargo xtask test` builds them.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bot;
mod browser;
mod choreography;
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
mod saga;
mod support;
mod surroundings_soak;
mod traces;
mod trying;
