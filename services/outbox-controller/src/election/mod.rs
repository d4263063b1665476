//! Leader election over a Lease: which of several processes may do what only one may.
//!
//! A Lease gives liveness, not safety: a leader that was stopped can wake up late in a step that it began in time.
//! The [`Tenure`](shop_outbox::Tenure) that comes with the lead ends by itself and is looked at before each step;
//! what must never happen twice is fenced where it happens, in the outbox's database.

mod core;
mod lease;
mod runner;
mod timing;

pub(crate) use runner::{Elector, Leadership};
pub(crate) use timing::{RENEW_DEADLINE, RETRY_PERIOD, Settings};
