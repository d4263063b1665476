//! The event bus inside one process: for a first look and for fast tests.
//!
//! It behaves like the real one: at-least-once delivery, redelivery of unacknowledged messages, a delivery limit, dead letters,
//! bounded queues that refuse messages, unroutable messages that are returned. An [`InProcessBroker`] ends with the process, and so do
//! its queues; a [`SqliteBroker`] (feature `sqlite`) keeps them in a file.

mod consumer;
mod fences;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use self::memory::{InProcessBroker, InProcessPublisher};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteBroker;
