//! Connections in constant use.
//!
//! The pool asks the server whenever a connection is given back, in a task of its own: for a single statement, that is every second round
//! trip. So a connection that has just carried out a statement is kept here for a moment, where the next statement takes it. Whatever is in doubt,
//! has failed, was not awaited or is not used soon goes back to the pool, which checks it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{sync::Notify, time::Instant};

use super::state::{State, TRUST};

/// How long a connection may stay out of the pool, which replaces old ones.
const STAY: Duration = Duration::from_secs(10);

/// The connections of a pool that are in constant use. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Hot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    state: Arc<State>,
    /// The last one was used last.
    idle: Mutex<Vec<Kept>>,
    /// A connection has become idle.
    given_back: Notify,
    /// How many transactions wait for a connection, which only the pool can give them.
    transactions: AtomicUsize,
    is_cooling: AtomicBool,
}

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    left_the_pool: Instant,
    used: Instant,
}

impl Hot {
    pub(super) fn of(pool: PgPool, state: Arc<State>) -> Self {
        Self(Arc::new(Inner {
            pool,
            state,
            idle: Mutex::default(),
            given_back: Notify::new(),
            transactions: AtomicUsize::default(),
            is_cooling: AtomicBool::default(),
        }))
    }

    /// Returns a connection for one statement.
    ///
    /// # Errors
    /// Those of the pool.
    pub(super) async fn take(&self) -> Result<InUse, sqlx::Error> {
        if let Some(connection) = self.pop() {
            return Ok(connection);
        }
        let most = self.0.state.settings().connections;
        let given_back = async {
            loop {
                self.0.given_back.notified().await;
                // A connection that is being opened is not given up for one that is given back: while the pool can grow, it does.
                if self.0.pool.size() >= most
                    && let Some(connection) = self.pop()
                {
                    return connection;
                }
            }
        };
        tokio::select! {
            connection = given_back => Ok(connection),
            acquired = self.0.pool.acquire() => {
                Ok(InUse { connection: acquired?, left_the_pool: Instant::now(), hot: self.clone() })
            }
        }
    }

    /// While the result exists, a transaction waits for a connection of the pool.
    pub(super) fn transaction_waits(&self) -> TransactionWaits<'_> {
        self.0.transactions.fetch_add(1, Ordering::AcqRel);
        if self.0.pool.num_idle() == 0 {
            // Dropped, and so given back to the pool.
            self.0.idle().pop();
        }
        TransactionWaits(&self.0)
    }

    fn pop(&self) -> Option<InUse> {
        let Kept { connection, left_the_pool, used } = self.0.idle().pop()?;
        // Otherwise it is dropped, and the pool checks it.
        (used.elapsed() < TRUST && !self.0.state.is_in_doubt()).then(|| InUse {
            connection,
            left_the_pool,
            hot: self.clone(),
        })
    }

    fn keep(&self, kept: Kept) {
        self.0.idle().push(kept);
        self.0.given_back.notify_one();
        if !self.0.is_cooling.swap(true, Ordering::AcqRel) {
            #[expect(clippy::disallowed_methods, reason = "it ends in a moment, and leaves nothing undone")]
            tokio::spawn(self.clone().cool());
        }
    }

    /// Gives back what is not used any more, until nothing is left.
    async fn cool(self) {
        loop {
            tokio::time::sleep(TRUST / 2).await;
            let unused = {
                let mut idle = self.0.idle();
                let first_used =
                    idle.iter().position(|kept| kept.used.elapsed() < TRUST / 2).unwrap_or(idle.len());
                let unused: Vec<Kept> = idle.drain(..first_used).collect();
                if idle.is_empty() {
                    // Under the lock, so that whatever is kept next begins anew.
                    self.0.is_cooling.store(false, Ordering::Release);
                    drop(unused);
                    return;
                }
                unused
            };
            drop(unused);
        }
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct TransactionWaits<'h>(&'h Inner);

impl Drop for TransactionWaits<'_> {
    fn drop(&mut self) {
        self.0.transactions.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that carries out a statement. If it is dropped before the statement is over, it goes back to the pool.
pub(super) struct InUse {
    connection: PoolConnection<Postgres>,
    left_the_pool: Instant,
    hot: Hot,
}

impl InUse {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The statement is over, with this outcome, and all of it was read.
    pub(super) fn ended<T>(self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let Self { connection, left_the_pool, hot } = self;
        let inner = &hot.0;
        if outcome.is_err() {
            inner.state.doubt();
        }
        let is_wanted = inner.transactions.load(Ordering::Acquire) == 0;
        if is_wanted
            && left_the_pool.elapsed() < STAY
            && !connection.is_in_transaction()
            && !inner.state.is_in_doubt()
            && !inner.pool.is_closed()
        {
            hot.keep(Kept { connection, left_the_pool, used: Instant::now() });
        }
        outcome
    }
}
