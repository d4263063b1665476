//! A transaction on the books, and what follows its commit: counters, and the cached list.

use std::{sync::Arc, time::Duration};

use sea_orm::DbErr;
use shop_messaging::BoxError;
use shop_outbox::{NewMessage, consumer, inbox::Receipt};
use shop_runtime::database::{self, Database, Transaction};
use uuid::Uuid;

use super::metrics::{Metrics, Outcome};
use crate::cache::Cache;

/// The database whose transactions are [`Booking`]s.
#[derive(Clone)]
pub(crate) struct Stockroom(Arc<Shared>);

struct Shared {
    database: Database,
    cache: Arc<dyn Cache>,
    metrics: Metrics,
}

impl Stockroom {
    pub(crate) fn new(database: Database, cache: Arc<dyn Cache>, metrics: Metrics) -> Self {
        Self(Arc::new(Shared { database, cache, metrics }))
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    /// Begins a transaction that is going to write.
    pub(crate) async fn begin(&self) -> Result<Booking, DbErr> {
        let transaction = database::begin(&self.0.database).await?;
        Ok(Booking { transaction, stockroom: self.clone(), outcomes: Vec::new(), is_seen: false })
    }
}

/// A transaction. Nothing outside the database happens before its commit: whoever then reads the list gets what was committed.
///
/// If the process dies between the commit and the invalidation, the old list is served until its TTL ends, 60 seconds at most.
pub(crate) struct Booking {
    transaction: Transaction,
    stockroom: Stockroom,
    outcomes: Vec<Outcome>,
    is_seen: bool,
}

impl Booking {
    /// The tables.
    pub(crate) fn tables(&self) -> &Transaction {
        &self.transaction
    }

    /// Notes what is to be counted after the commit, and whether the cached list is outdated then.
    pub(crate) fn note(&mut self, outcome: Outcome, is_seen: bool) {
        self.outcomes.push(outcome);
        self.is_seen |= is_seen;
    }

    /// Commits, counts, and invalidates the cached list if a buyer sees a difference.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        let Self { transaction, stockroom, outcomes, is_seen } = self;
        let committed = transaction.commit().await;
        if committed.is_ok() {
            outcomes.into_iter().for_each(|outcome| stockroom.0.metrics.count(outcome));
        }
        // Also after an error: a commit whose confirmation was lost may have happened.
        if is_seen {
            stockroom.0.cache.invalidate().await;
        }
        committed
    }
}

impl consumer::Database for Stockroom {
    type Transaction = Booking;

    async fn begin(&self) -> Result<Booking, BoxError> {
        Ok(Self::begin(self).await?)
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        consumer::Database::forget(&self.0.database, retention, chunk).await
    }
}

impl shop_outbox::Transaction for Booking {
    type Error = DbErr;

    async fn append(&mut self, message: &NewMessage) -> Result<(), DbErr> {
        shop_outbox::Transaction::append(&mut self.transaction, message).await
    }

    async fn receive(&mut self, consumer: &str, message_id: Uuid) -> Result<Receipt, DbErr> {
        shop_outbox::Transaction::receive(&mut self.transaction, consumer, message_id).await
    }

    async fn holds(&mut self, consumer: &str, message_id: Uuid) -> Result<bool, DbErr> {
        shop_outbox::Transaction::holds(&mut self.transaction, consumer, message_id).await
    }

    async fn commit(self) -> Result<(), DbErr> {
        Self::commit(self).await
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.transaction.rollback().await
    }
}
