//! Shoppers for a running shop ([`shoppers`]), and an audit of its books ([`books`]).
//!
//! Both know the shop only by its HTTP APIs, through `shop-client`, so they work wherever it runs: `cargo run`, compose, Kubernetes.
#![warn(missing_docs)]

mod addresses;
mod admin;
pub mod books;
mod command;
pub mod shoppers;
pub mod show;

pub use addresses::Addresses;
pub use admin::Admin;
pub use command::Command;
