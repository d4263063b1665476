//! What a payment is, what may happen to it, and what is to be done next. Uses neither HTTP nor a database.

mod breaker;
mod pauses;
mod payment;
mod provider;

pub(crate) use breaker::{Breaker, BreakerState, Permit};
pub(crate) use pauses::pause;
pub(crate) use payment::{Announcement, Call, Doubt, Next, Payment, State};
pub(crate) use provider::{Bill, CallError, Provider, Verdict};
