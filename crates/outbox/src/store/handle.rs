use std::{fmt, sync::Arc};

use super::{Pool, StoreError, connection::Record, pool::Transaction, statement::Statement};

/// The outbox in one database (and, on PostgreSQL, in one schema: the first one in the connection's `search_path`), for its publisher
/// and its operators. Clones share the pool.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    publisher: String,
    refusals: Option<Arc<Refusals>>,
    failures: Option<Arc<Failures>>,
}

/// Why a pool closes its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The outbox's schema or tables do not exist.
    NoOutbox(String),
    /// Anything else.
    Other(String),
}

/// Says why the pool closes connections.
type Refusals = dyn Fn() -> Option<Refusal> + Send + Sync;

/// Is called for a failed statement.
type Failures = dyn Fn(&StoreError) + Send + Sync;

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("publisher", &self.publisher).finish_non_exhaustive()
    }
}

impl Store {
    /// The outbox behind `pool`; publishers with the same name `publisher` exclude each other. It opens no connections except
    /// through the pool.
    ///
    /// On PostgreSQL each session of the pool must be in the outbox's schema and have the settings of
    /// [`SESSION`](crate::SESSION): see [`tune`](crate::tune). [`Store::connect`] creates a pool that has them.
    pub fn new(pool: impl Into<Pool>, publisher: impl Into<String>) -> Self {
        Self { pool: pool.into(), publisher: publisher.into(), refusals: None, failures: None }
    }

    /// The outbox at `url` with its own pool, made by [`Pool::connect`]; publishers with the same name `publisher`
    /// exclude each other.
    ///
    /// # Errors
    /// As [`Pool::connect`].
    pub async fn connect(url: &str, publisher: impl Into<String>) -> Result<Self, StoreError> {
        Ok(Self::new(Pool::connect(url).await?, publisher))
    }

    /// Uses `refusals` to find out why the pool closes connections: the driver does not report it for a pool that checks
    /// each of them.
    #[must_use]
    pub fn refusing(mut self, refusals: impl Fn() -> Option<Refusal> + Send + Sync + 'static) -> Self {
        self.refusals = Some(Arc::new(refusals));
        self
    }

    /// Calls `failures` for each failed statement of the store, so that the pool's owner can check its connections.
    #[must_use]
    pub fn noticing(mut self, failures: impl Fn(&StoreError) + Send + Sync + 'static) -> Self {
        self.failures = Some(Arc::new(failures));
        self
    }

    /// Why the pool has no usable connections, if its owner knows.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusals.as_ref().and_then(|refusals| refusals())
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The name under which publishers exclude each other.
    pub(super) fn publisher(&self) -> &str {
        &self.publisher
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// Opens a connection, if there is none, and checks that it works.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        Ok(connection.ping().await?)
    }

    // The futures are boxed: the driver's are large, and the publisher's contain several of them.

    pub(super) async fn execute(&self, statement: Statement<'_>) -> Result<u64, StoreError> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await?;
            self.noticed(connection.sqlx().execute(&statement).await)
        })
        .await
    }

    pub(super) async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<Record>, StoreError> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await?;
            self.noticed(connection.sqlx().fetch_all(&statement).await)
        })
        .await
    }

    pub(super) async fn fetch_optional(
        &self,
        statement: Statement<'_>,
    ) -> Result<Option<Record>, StoreError> {
        Box::pin(async move {
            let mut connection = self.pool.acquire().await?;
            self.noticed(connection.sqlx().fetch_optional(&statement).await)
        })
        .await
    }

    /// The one row of a statement that always has one.
    pub(super) async fn fetch_one(&self, statement: Statement<'_>) -> Result<Record, StoreError> {
        Ok(self.fetch_optional(statement).await?.ok_or(sqlx::Error::RowNotFound)?)
    }

    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.pool.begin().await?)
    }

    pub(super) fn noticed<T>(&self, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            let error = StoreError::from(error);
            if let Some(failures) = &self.failures {
                failures(&error);
            }
            error
        })
    }
}
