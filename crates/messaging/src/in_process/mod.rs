//! The event bus inside one process: for a first look and for fast tests.
//!
//! It behaves like the real one: at least once, unacknowledged messages come again, a delivery limit, dead letters,
//! bounded queues that refuse, unroutable messages that come back. Only it ends with the process, and so do its queues.

mod consumer;
mod fences;
mod memory;

pub use self::memory::{InProcessBroker, InProcessPublisher};
