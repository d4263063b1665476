//! A service's database, as the rest of the service sees it.

use std::{fmt, sync::Arc, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, Values,
};
use sea_orm_migration::async_trait::async_trait;
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Postgres};
use tokio::time::Instant;

use super::{
    failure::Failure,
    hot::Hot,
    options,
    probe::{Probe, Unready},
    state::{Server, State},
};
use crate::config::DatabaseUrl;

/// How long a statement waits for a connection while the server does not accept the password. A file with the new one is read
/// every half second; and open connections keep working, of which one is soon free.
const WHILE_ROTATED: Duration = Duration::from_secs(1);

/// The pause between two attempts in that time.
const AGAIN: Duration = Duration::from_millis(25);

/// A pool of connections, and what is known about their server. Clones share it.
#[derive(Clone)]
pub struct Database {
    connection: DatabaseConnection,
    /// `None`: SQLite.
    hot: Option<Hot>,
    state: Arc<State>,
    probe: Arc<Probe>,
}

impl Database {
    /// A handle to the pool that reports every failed statement to the state, whoever sent it.
    pub(super) fn new(mut connection: DatabaseConnection, state: Arc<State>) -> Self {
        connection.set_metric_callback({
            let state = state.clone();
            move |statement| {
                if statement.failed {
                    state.doubt();
                }
            }
        });
        let hot = (connection.get_database_backend() == DbBackend::Postgres)
            .then(|| Hot::of(connection.get_postgres_connection_pool().clone(), state.clone()));
        Self { connection, hot, state, probe: Arc::new(Probe::default()) }
    }

    /// The pool as a sea-orm connection, for code that only sends statements.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Opens connections with `url` from now on, which may contain another password or another host, and closes existing
    /// ones when they are next used.
    ///
    /// # Errors
    /// The address is invalid, or for the other kind of database.
    pub fn reconnect_to(&self, url: &DatabaseUrl) -> anyhow::Result<()> {
        anyhow::ensure!(
            !url.is_sqlite() && matches!(self.state.server(), Server::Postgres(_)),
            "only a PostgreSQL address can be replaced, and only by another one"
        );
        let options = options::postgres(url, &self.state.settings().schema)?;
        self.connection.get_postgres_connection_pool().set_connect_options(options.clone());
        self.state.replaced(&options);
        Ok(())
    }

    /// The check for readiness: whether the service could do its work. It has its own connection, so it never waits behind
    /// requests, and it runs at most once per second, however many ask.
    pub fn readiness(&self) -> impl Fn() -> Readiness + Send + Sync + use<> {
        let database = self.clone();
        move || -> Readiness {
            let database = database.clone();
            Box::pin(async move { database.check().await })
        }
    }

    /// Checks whether the service could do its work: its schema is at its version, on a server that accepts writes and has disk space.
    ///
    /// # Errors
    /// It could not; the error says why.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.look().await.map_err(anyhow::Error::from)
    }

    /// Why there are currently no connections, if known: the pool itself only reports that it waited.
    pub fn trouble(&self) -> Option<String> {
        self.state.trouble()
    }

    /// Whether [`trouble`](Self::trouble) is that the schema, or a table in it, is missing.
    pub fn has_vanished(&self) -> bool {
        self.state.has_vanished()
    }

    /// For a while, checks every connection before it is used: for code that sends statements through the bare pool, where
    /// failures are not recorded.
    pub fn doubt(&self) {
        self.state.doubt();
    }

    /// What is known about the server.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn hot(&self) -> Option<&Hot> {
        self.hot.as_ref()
    }

    /// Checks whether the service could do its work.
    pub(super) async fn look(&self) -> Result<(), Unready> {
        self.probe.look(&self.state).await
    }

    /// Sends a statement, again if there is no connection because the password was rotated, and records the result.
    async fn noted<T, F>(&self, send: impl Fn() -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        match despite_rotation(send).await {
            Ok(value) => Ok(value),
            Err(error) => Err(self.explained(error).await),
        }
    }

    /// Records an error. The pool reports the same error whether all connections are in use or none can be opened; this
    /// distinguishes them.
    pub(super) async fn explained(&self, error: DbErr) -> DbErr {
        self.state.note(&error);
        if Failure::of(&error) != Failure::Overloaded {
            return error;
        }
        match self.look().await {
            Ok(()) => error,
            Err(unready) => DbErr::Conn(RuntimeErr::Internal(unready.to_string())),
        }
    }
}

/// Does `work` again for a moment while it only fails because the password is not accepted: nothing of it was done.
pub(super) async fn despite_rotation<T, F>(work: impl Fn() -> F) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    let mut began = None;
    loop {
        match work().await {
            Err(error) if Failure::is_of_the_password(&error) => {
                if began.get_or_insert_with(Instant::now).elapsed() >= WHILE_ROTATED {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

type Readiness = futures_util::future::BoxFuture<'static, anyhow::Result<()>>;

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.state.settings().schema).finish()
    }
}

#[async_trait]
impl ConnectionTrait for Database {
    fn get_database_backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let outcome = match &self.hot {
            Some(hot) => self.noted(|| execute(hot, &statement)).await,
            None => self.noted(|| self.connection.execute_raw(statement.clone())).await,
        };
        if outcome.is_ok() {
            self.state.has_room();
        }
        outcome
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noted(|| self.connection.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        // SQLite commits when the statement ends, but the driver reads one row and ignores how the statement ended.
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.hot {
            Some(hot) => self.noted(|| query_all(hot, &statement)).await,
            None => self.noted(|| self.connection.query_all_raw(statement.clone())).await,
        }
    }
}

async fn execute(hot: &Hot, statement: &Statement) -> Result<ExecResult, DbErr> {
    let mut connection = hot.take().await.map_err(not_acquired)?;
    let outcome = query(statement).execute(connection.connection()).await;
    let done = connection.ended(outcome);
    done.map(ExecResult::from).map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
}

async fn query_all(hot: &Hot, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
    let mut connection = hot.take().await.map_err(not_acquired)?;
    let outcome = query(statement).fetch_all(connection.connection()).await;
    let rows = connection.ended(outcome);
    let rows = rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?;
    Ok(rows.into_iter().map(QueryResult::from).collect())
}

fn query(statement: &Statement) -> sqlx::query::Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

/// As sea-orm says it.
fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}
