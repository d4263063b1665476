//! A database whose transactions wake the worker once they have committed.

use std::{sync::Arc, time::Duration};

use sea_orm::DbErr;
use shop_messaging::BoxError;
use shop_outbox::{NewMessage, consumer, inbox::Receipt};
use shop_runtime::database::{Database, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

/// A service's database with somebody to wake.
#[derive(Clone)]
pub(crate) struct WakingDatabase {
    database: Database,
    wake: Arc<Notify>,
}

impl WakingDatabase {
    /// `wake` is notified after the commits of transactions that ask for it.
    pub(super) fn new(database: Database, wake: Arc<Notify>) -> Self {
        Self { database, wake }
    }
}

/// One of its transactions.
pub(crate) struct WakingTransaction {
    inner: Transaction,
    wake: Arc<Notify>,
    wakes: bool,
}

impl WakingTransaction {
    /// Where to write.
    pub(super) fn inner(&self) -> &Transaction {
        &self.inner
    }

    /// The commit is to wake the worker: before it, there is nothing for it to see.
    pub(super) fn wakes(&mut self) {
        self.wakes = true;
    }
}

impl consumer::Database for WakingDatabase {
    type Transaction = WakingTransaction;

    async fn begin(&self) -> Result<WakingTransaction, BoxError> {
        let inner = consumer::Database::begin(&self.database).await?;
        Ok(WakingTransaction { inner, wake: self.wake.clone(), wakes: false })
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        self.database.forget(retention, chunk).await
    }
}

impl shop_outbox::Transaction for WakingTransaction {
    type Error = DbErr;

    async fn append(&mut self, message: &NewMessage) -> Result<(), DbErr> {
        self.inner.append(message).await
    }

    async fn receive(&mut self, consumer: &str, message_id: Uuid) -> Result<Receipt, DbErr> {
        self.inner.receive(consumer, message_id).await
    }

    async fn holds(&mut self, consumer: &str, message_id: Uuid) -> Result<bool, DbErr> {
        self.inner.holds(consumer, message_id).await
    }

    async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, wake, wakes } = self;
        let committed = inner.commit().await;
        // Even if the answer was lost: the worker looks whether there is something.
        if wakes {
            wake.notify_one();
        }
        committed
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.inner.rollback().await
    }
}
