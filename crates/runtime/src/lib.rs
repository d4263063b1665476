//! What the `main` of every service needs: configuration, telemetry, a lifecycle, health, metrics, HTTP problems
//! and extractors, token verification, database connections.
//!
//! This crate knows no endpoint and no table. A service implements [`Service`]; its `main.rs` calls `shop_runtime::main::<S>()`.
#![warn(missing_docs)]

pub mod auth;
mod bus;
pub mod client;
pub mod config;
#[cfg(feature = "consumer")]
pub mod consumer;
pub mod database;
#[cfg(feature = "consumer")]
pub mod events;
pub mod health;
pub mod http;
mod lifecycle;
pub mod metrics;
mod otel;
pub mod pem;
mod periodically;
#[cfg(feature = "redis")]
pub mod redis;
pub mod seal;
mod service;
pub mod table;
pub mod telemetry;
mod trace_parent;

pub use bus::{Bus, BusUrl};
pub use lifecycle::Lifecycle;
pub use periodically::Periodically;
pub use service::{
    NoTools, Scope, Service, Tools, healthcheck, install_crypto, main, main_from, main_with_tools, start,
};
pub use trace_parent::TraceParent;
