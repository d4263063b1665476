//! Exchanges and queues in a SQLite file: messages in a queue survive when the process is killed and started again.
//!
//! One process uses the file at a time. Only what ends with it is in memory: which messages are being handled, and who
//! holds a fence.

mod broker;
mod file;
mod publisher;
mod queue;

pub use self::broker::SqliteBroker;
