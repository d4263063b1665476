//! The room for consumers, against real databases and brokers.

mod effects;
mod failures;
mod kit;
mod order;
mod spans;
