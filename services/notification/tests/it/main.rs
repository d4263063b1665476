//! The notification service with its mail server, its Bot API, its databases and its brokers.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod failures;
mod harness;
mod life;
mod list;
mod mailbox;
mod telegram;
