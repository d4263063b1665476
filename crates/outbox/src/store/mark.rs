//! Marking rows according to the broker's answers. Statements work on whole windows, never on one message.

use serde::Serialize;

use super::{Store, StoreError, statement::Statement};
use crate::{
    fence::{Fence, Lease},
    sql::mark as sql,
};

/// The outcome of a window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) sent: Vec<i64>,
    pub(crate) failed: Vec<Failure>,
}

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.failed.is_empty()
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.sent.extend(others.sent);
        self.failed.extend(others.failed);
    }
}

/// A row that the broker did not accept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) id: i64,
    pub(crate) error: String,
    /// Seconds until it is retried; negative: dead.
    pub(crate) pause: f64,
}

impl Store {
    /// Marks the outcome of a window, if the epoch is still this publisher's: one statement for the sent rows, one
    /// for the failed ones, each with the fence in it.
    pub(crate) async fn mark(&self, lease: &Lease, marks: &Marks) -> Result<Fence, StoreError> {
        if !marks.sent.is_empty() && self.mark_sent(lease, &marks.sent).await? == Fence::Lost {
            return Ok(Fence::Lost);
        }
        if marks.failed.is_empty() { Ok(Fence::Holds) } else { self.mark_failed(lease, &marks.failed).await }
    }

    async fn mark_sent(&self, lease: &Lease, sent: &[i64]) -> Result<Fence, StoreError> {
        let values = [self.publisher().into(), lease.epoch.into(), sent.into()];
        self.fenced(lease, Statement::new(sql::MARK_SENT, values)).await
    }

    async fn mark_failed(&self, lease: &Lease, failed: &[Failure]) -> Result<Fence, StoreError> {
        let failed = serde_json::to_string(failed).map_err(StoreError::malformed)?;
        let values = [self.publisher().into(), lease.epoch.into(), failed.as_str().into()];
        self.fenced(lease, Statement::new(sql::MARK_FAILED, values)).await
    }

    /// Runs a mark, and returns whether it was done under the publisher's own epoch.
    async fn fenced(&self, lease: &Lease, mark: Statement<'_>) -> Result<Fence, StoreError> {
        let fence = match self.fetch_optional(mark).await? {
            Some(fence) => fence,
            // SQLite: an update returns no row.
            None => {
                let values = [self.publisher().into(), lease.epoch.into()];
                self.fetch_one(Statement::new(sql::FENCE, values)).await?
            }
        };
        Ok(if fence.get::<i64>("fence")? == 1 { Fence::Holds } else { Fence::Lost })
    }
}
