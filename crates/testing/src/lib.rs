//! Real backends for tests.
//!
//! [`servers`] starts private servers from local binaries and needs nothing but std, so `cargo xtask` uses it too. The
//! feature `clients` adds the functions for tests: [`postgres`], [`redis`], [`rabbitmq`] and [`kubernetes`] give a test its
//! own empty place on the servers that `cargo xtask test` names in the environment, and [`private_postgres`] and
//! similar functions give it a server of its own to kill, freeze and restart.
//!
//! ```no_run
//! # #[cfg(feature = "clients")]
//! async fn a_test() {
//!     let Some(postgres) = shop_testing::postgres().await else { return };
//!     println!("{}", postgres.url); // a fresh database, dropped at the end
//! }
//! ```
//!
//! A test whose backend is not available is skipped: its name is appended to the file that `SHOP_TEST_SKIPS` names. With
//! `SHOP_TEST_REQUIRE=1` it fails instead.
#![warn(missing_docs)]

mod address;
#[cfg(feature = "clients")]
pub mod bot_api;
#[cfg(feature = "clients")]
mod browser;
mod dice;
#[cfg(feature = "clients")]
mod disk;
#[cfg(feature = "clients")]
mod faketime;
#[cfg(feature = "clients")]
mod kubernetes;
mod log;
#[cfg(feature = "clients")]
pub mod mail_sink;
#[cfg(feature = "clients")]
pub mod otlp;
#[cfg(feature = "clients")]
mod postgres;
#[cfg(feature = "clients")]
mod private;
#[cfg(feature = "clients")]
mod proxy;
#[cfg(feature = "clients")]
mod rabbitmq;
#[cfg(feature = "clients")]
mod redis;
#[cfg(feature = "clients")]
mod schemathesis;
pub mod servers;
pub mod shop;
#[cfg(feature = "clients")]
mod skip;
#[cfg(feature = "clients")]
mod teardown;

pub use address::reserve_address;
pub use dice::Dice;
pub use log::Log;
#[cfg(feature = "clients")]
pub use {
    browser::{TestBrowser, browser},
    disk::{SmallDisk, small_disk},
    faketime::faketime,
    kubernetes::{TestCluster, helm, kubernetes},
    postgres::{TestDatabase, postgres},
    private::{
        Private, private_kubernetes, private_pgbouncer, private_postgres, private_postgres_like,
        private_rabbitmq, private_redis,
    },
    proxy::{Held, Proxy},
    rabbitmq::{TestBroker, rabbitmq},
    redis::{TestRedis, redis},
    schemathesis::schemathesis,
    skip::skip,
};
