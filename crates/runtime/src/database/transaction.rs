//! Transactions that are stored completely or not at all, and report which.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::async_trait::async_trait;
use tokio::time::Instant;

use super::{
    failure::Failure,
    handle::{Database, despite_rotation},
    hot::Hot,
    state::State,
};

/// How often a transaction is retried after conflicts, and for how long at most.
const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(3);

/// A transaction. It is rolled back if it is dropped.
///
/// Once a statement has failed, or was not awaited, it can only be rolled back: PostgreSQL would answer a commit with a
/// rollback and no error, and SQLite may have rolled back by itself and execute later statements outside the transaction.
pub struct Transaction {
    inner: DatabaseTransaction,
    database: Database,
    /// The number of statements that have not succeeded.
    unsettled: AtomicUsize,
}

/// Begins a transaction that is going to write. SQLite then takes its write lock at once; a transaction that
/// began with a read would fail with `SQLITE_BUSY` instead of waiting its turn.
///
/// # Errors
/// The database is away.
pub async fn begin(database: &Database) -> Result<Transaction, DbErr> {
    let sqlite_transaction_mode =
        (database.get_database_backend() == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
    let begin = || async {
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        let _waits = database.hot().map(Hot::transaction_waits);
        let mut beginning = pin!(database.connection().begin_with_options(options));
        // Dropped before what it guards.
        let unwatched = Unwatched(database.state());
        let begun = beginning.as_mut().await;
        std::mem::forget(unwatched);
        begun
    };
    match despite_rotation(begin).await {
        Ok(inner) => Ok(Transaction { inner, database: database.clone(), unsettled: AtomicUsize::default() }),
        Err(error) => Err(database.explained(error).await),
    }
}

/// The driver does not end a transaction if its BEGIN was never awaited: the connection returns to the pool with it, and later
/// writes would be acknowledged but never committed. A check detects this, so every connection is checked.
struct Unwatched<'s>(&'s State);

impl Drop for Unwatched<'_> {
    fn drop(&mut self) {
        self.0.doubt();
    }
}

impl Transaction {
    /// Commits.
    ///
    /// # Errors
    /// Nothing was stored; or the connection broke just now, and it is unknown whether the transaction was stored.
    pub async fn commit(self) -> Result<(), DbErr> {
        if self.unsettled.load(Ordering::Acquire) > 0 {
            self.rollback().await?;
            return Err(broken());
        }
        let committed = self.inner.commit().await;
        match &committed {
            Ok(()) => self.database.state().has_room(),
            Err(error) => {
                self.database.state().note(error);
                self.database.state().doubt();
            }
        }
        committed
    }

    /// Rolls back.
    ///
    /// # Errors
    /// The connection is broken, which has the same effect.
    pub async fn rollback(self) -> Result<(), DbErr> {
        let rolled_back = self.inner.rollback().await;
        if rolled_back.is_err() {
            self.database.state().doubt();
        }
        rolled_back
    }

    pub(super) fn inner(&self) -> &DatabaseTransaction {
        &self.inner
    }

    async fn settled<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        if self.unsettled.fetch_add(1, Ordering::AcqRel) > 0 {
            return Err(broken());
        }
        match statement.await {
            Ok(value) => {
                self.unsettled.fetch_sub(1, Ordering::AcqRel);
                Ok(value)
            }
            Err(error) => {
                self.database.state().note(&error);
                Err(error)
            }
        }
    }
}

fn broken() -> DbErr {
    DbErr::Custom("a statement in the transaction failed, so nothing of it is stored".to_owned())
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.settled(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.settled(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.settled(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.settled(self.inner.query_all_raw(statement)).await
    }
}

impl Database {
    /// Runs `work` in a transaction, which `work` must commit. After a conflict (a serialization failure, a deadlock,
    /// SQLite's lock) it is retried a few times: nothing was stored, so `work` must have no effects outside its transaction.
    ///
    /// # Errors
    /// The database is away, or `work` failed; nothing was stored, unless only the answer to the commit was lost.
    pub async fn transaction<T, F>(&self, work: impl Fn(Transaction) -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let work = &work;
        self.statement(|| async move { work(begin(self).await?).await }).await
    }

    /// Does `work`, which sends one statement that is a transaction of its own, and does it again after conflicts, as
    /// [`transaction`](Self::transaction) does.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn statement<T, F>(&self, work: impl Fn() -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let began = Instant::now();
        let mut tries = 1;
        loop {
            let error = match work().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let is_over = tries >= TRIES || began.elapsed() > PATIENCE;
            if is_over || Failure::of(&error) != Failure::Contention {
                return Err(error);
            }
            tracing::debug!(%error, tries, "a transaction is retried");
            let pause = Duration::from_millis(10 << tries);
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            tries += 1;
        }
    }
}
