//! Exchanges and queues in a SQLite file: what a queue has taken is there when the process is killed and started again.
//!
//! One process has the file at a time. In memory is only what ends with it: which messages are with a handler, and who
//! holds a fence.

mod broker;
mod file;
mod publisher;
mod queue;

pub use self::broker::SqliteBroker;
