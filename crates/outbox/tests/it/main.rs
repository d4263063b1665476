//! The publisher against real databases and brokers: what it promises, and what it survives.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic; clippy knows only `#[test]` functions")]
#![expect(clippy::disallowed_methods, reason = "a test ends its own tasks")]

mod faults;
mod promises;
mod support;
