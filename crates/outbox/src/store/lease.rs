//! The lease in the database: who may publish, and under which epoch.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Store, StoreError, statement::Statement};
use crate::{
    fence::{Fence, Lease, Tenure, boottime},
    sql::{Sql, lease as sql},
};

/// The current or last holder of the lease.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leader {
    /// The lease's fencing epoch.
    pub epoch: i64,
    /// The publisher.
    pub holder: String,
    /// When the lease ends or has ended.
    pub lease_expires_at: DateTime<Utc>,
    /// Whether the lease is still valid, by the database's clock.
    pub leading: bool,
}

impl Store {
    /// Takes the lease if it is free or has expired, and raises the epoch; `None` while another holds it.
    pub(crate) async fn acquire(
        &self,
        holder: &str,
        duration: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.take(sql::ACQUIRE, holder, duration, None).await
    }

    /// Takes the lease from any holder, and raises the epoch: the previous holder marks nothing from then on.
    pub(crate) async fn take_over(
        &self,
        holder: &str,
        duration: Duration,
        tenure: &Tenure,
    ) -> Result<Option<Lease>, StoreError> {
        self.take(sql::TAKE_OVER, holder, duration, Some(tenure.clone())).await
    }

    async fn take(
        &self,
        take: Sql,
        holder: &str,
        duration: Duration,
        tenure: Option<Tenure>,
    ) -> Result<Option<Lease>, StoreError> {
        let asked = boottime();
        let take = Statement::new(take, [self.publisher().into(), holder.into(), duration.into()]);
        let taken = self.fetch_all(take).await?;
        let Some(taken) = taken.first() else { return Ok(None) };
        Ok(Some(Lease::new(taken.get("epoch")?, Tenure::new(asked, duration), tenure)))
    }

    /// Extends the lease to `duration` from now.
    pub(crate) async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Fence, StoreError> {
        let asked = boottime();
        let values = [self.publisher().into(), lease.epoch.into(), duration.into()];
        if self.execute(Statement::new(sql::RENEW, values)).await? == 0 {
            return Ok(Fence::Lost);
        }
        lease.renewed(asked, duration);
        Ok(Fence::Holds)
    }

    /// Releases the lease and notifies the waiting publishers, so that they need not wait for its end.
    pub(crate) async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let values = [self.publisher().into(), lease.epoch.into()];
        self.fetch_optional(Statement::new(sql::RELEASE, values)).await?;
        lease.revoke();
        Ok(())
    }

    /// Returns the current or last holder.
    pub(crate) async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        let leader = self.fetch_optional(Statement::new(sql::LEADER, [self.publisher().into()])).await?;
        let Some(row) = leader else { return Ok(None) };
        Ok(Some(Leader {
            epoch: row.get("epoch")?,
            holder: row.get("holder")?,
            lease_expires_at: row.get("lease_expires_at")?,
            leading: row.get("leading")?,
        }))
    }
}
