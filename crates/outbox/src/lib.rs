//! A transactional outbox: an event is a row that commits with the change it announces, and a publisher carries
//! every committed row to a broker, in order for each aggregate, and never loses one.
//!
//! Nothing here knows what the events are about, so any service can use it:
//!
//! 1. its migrations include [`migration::migrations`];
//! 2. its transactions, holding the aggregate's row lock, call [`append`];
//! 3. a [`Publisher`] runs beside it, in the same process or in another;
//! 4. its consumers keep an [`inbox`].
//!
//! A row is `pending` until the broker has confirmed it, then `sent`; a row that the broker keeps refusing becomes
//! `dead` and holds back its own aggregate, and no other, until somebody redrives or discards it.
#![warn(missing_docs)]

mod append;
mod cause;
mod fence;
pub mod inbox;
mod metrics;
pub mod migration;
mod operate;
mod options;
mod publisher;
mod retry;
mod store;
mod trace;
mod wake;

pub use append::{NewMessage, append, append_sqlx};
pub use fence::{Tenure, boottime};
pub use metrics::{OutboxMetrics, OutboxMetricsFamily};
pub use operate::{
    DiscardError, FullRow, InvalidRowKey, Leader, Overview, RowFilter, RowKey, RowStatus, RowSummary,
};
pub use options::{Bounds, Options, RetryPolicy};
pub use publisher::{Progress, Publisher, Trouble, until_counted_again};
pub use shop_messaging::HeaderValue;
pub use store::{SESSION, Stats, Store};

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
