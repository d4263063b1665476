//! Leader election with a Lease: decides which of several processes may do what only one may do. That process is the leader, the others are
//! followers.
//!
//! A Lease gives liveness, not safety: a leader that was stopped can wake up late in a step that it began in time.
//! The leader's [`Tenure`](shop_outbox::Tenure) expires and is checked before each step; marks, which must never happen
//! twice, are fenced by the epoch in the outbox's database.

mod core;
mod lease;
mod runner;
mod timing;

pub(crate) use runner::{Elector, Standing};
pub(crate) use timing::{RENEW_DEADLINE, RETRY_PERIOD, Settings};
