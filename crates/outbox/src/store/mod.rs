//! Operations on the outbox's tables, by topic. The statements are in [`sql`](crate::sql).

mod claim;
mod connection;
mod error;
mod handle;
mod lease;
mod mark;
mod operate;
mod pool;
mod retire;
mod rows;
mod sleep;
mod statement;
mod survey;

#[cfg(test)]
pub(crate) use self::claim::tests;
pub(crate) use self::{
    claim::{Aggregate, Row},
    mark::{Failure, Marks},
    statement::Statement,
    survey::{Unsettled, Writer},
};
pub use self::{
    connection::SqlxConnection,
    error::StoreError,
    handle::{Refusal, Store},
    lease::Leader,
    operate::{DiscardError, Overview},
    pool::{CONNECTIONS, Pool, SESSION, tune},
    rows::{FullRow, InvalidRowKey, RowFilter, RowKey, RowStatus, RowSummary},
    survey::Stats,
};
pub(crate) use crate::fence::Fence;
