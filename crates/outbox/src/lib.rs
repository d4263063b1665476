//! A transactional outbox: an event is a row that commits with the change it announces, and a publisher carries
//! every committed row to a broker, in order for each aggregate, and never loses one.
//!
//! This crate knows nothing about the events' content, so any service can use it:
//!
//! 1. its migrations include those of [`migration`];
//! 2. its transactions, holding the aggregate's row lock, call `append` (sea-orm's) or [`append_sqlx`];
//! 3. a [`Publisher`] of its [`Store`] runs beside it, in the same process or in another;
//! 4. its consumers are handlers of a [`consumer`], or use the [`inbox`] themselves.
//!
//! A row is `pending` until the broker has confirmed it, then `sent`; a row that the broker keeps refusing becomes
//! `dead` and holds back its own aggregate, and no other, until somebody redrives or discards it.
//!
//! The features `sea-orm`, `sqlite`, `metrics` and `tracing` are on by default, and each can be left out.
#![warn(missing_docs)]

mod append;
mod cause;
pub mod consumer;
mod fence;
pub mod inbox;
mod metrics;
pub mod migration;
mod options;
mod publisher;
mod retry;
mod sql;
mod store;
mod trace;
mod transaction;
mod wake;

pub use append::{NewMessage, append_sqlx};
#[cfg(feature = "sea-orm")]
pub use append::{With, append, append_with};
pub use fence::{Tenure, boottime};
pub use metrics::OutboxMetrics;
#[cfg(feature = "metrics")]
pub use metrics::OutboxMetricsFamily;
pub use options::{Bounds, Options, RetryPolicy};
pub use publisher::{Progress, Publisher, Trouble, until_counted_again};
pub use shop_messaging::HeaderValue;
pub use store::{
    CONNECTIONS, DiscardError, FullRow, InvalidRowKey, Leader, Overview, Pool, Refusal, RowFilter, RowKey,
    RowStatus, RowSummary, SESSION, SqlxConnection, Stats, Store, StoreError, tune,
};
pub use transaction::Transaction;

/// Compiles the examples in the README.
#[cfg(all(doctest, feature = "sea-orm"))]
#[doc = include_str!("../README.md")]
struct Readme;
