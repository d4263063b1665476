//! A service's database, as the rest of the service sees it.

use std::{fmt, sync::Arc};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
};
use sea_orm_migration::async_trait::async_trait;

use super::{
    failure::Failure,
    options,
    probe::{Probe, Unready},
    state::{Server, State},
};
use crate::config::DatabaseUrl;

/// A pool of connections, and what is known of their server. Clones share it.
#[derive(Clone)]
pub struct Database {
    connection: DatabaseConnection,
    state: Arc<State>,
    probe: Arc<Probe>,
}

impl Database {
    /// A handle to the pool, by which the state learns of every statement that fails, whoever sent it.
    pub(super) fn new(mut connection: DatabaseConnection, state: Arc<State>) -> Self {
        connection.set_metric_callback({
            let state = state.clone();
            move |statement| {
                if statement.failed {
                    state.doubt();
                }
            }
        });
        Self { connection, state, probe: Arc::new(Probe::default()) }
    }

    /// The pool as sea-orm knows it, for code that has no other need than to ask.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Opens connections as `url` says from now on, which may be another password or another place, and closes those that
    /// there are when they are next used.
    ///
    /// # Errors
    /// The address cannot be understood, or is of the other kind of database.
    pub fn reconnect_to(&self, url: &DatabaseUrl) -> anyhow::Result<()> {
        anyhow::ensure!(
            !url.is_sqlite() && matches!(self.state.server(), Server::Postgres(_)),
            "only the address of a PostgreSQL can be replaced, by that of another"
        );
        let options = options::postgres(url, &self.state.settings().schema)?;
        self.connection.get_postgres_connection_pool().set_connect_options(options.clone());
        self.state.replaced(&options);
        Ok(())
    }

    /// What readiness asks: whether the service could do its work there. It has a connection of its own, so it never waits behind
    /// requests, and looks once a second at most, however many ask.
    pub fn readiness(&self) -> impl Fn() -> Readiness + Send + Sync + use<> {
        let database = self.clone();
        move || -> Readiness {
            let database = database.clone();
            Box::pin(async move { database.check().await })
        }
    }

    /// Whether the service could do its work there: its schema at its version, on a server that takes writes and has room.
    ///
    /// # Errors
    /// It could not; why.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.look().await.map_err(anyhow::Error::from)
    }

    /// Why connections cannot be had at the moment, as far as it is known: the pool itself tells only that it waited.
    pub fn trouble(&self) -> Option<String> {
        self.state.trouble()
    }

    /// Whether [`trouble`](Self::trouble) is that the schema, or a table of it, is not there.
    pub fn has_vanished(&self) -> bool {
        self.state.has_vanished()
    }

    /// Looks at every connection before it is used, for a while: for code that sends statements through the pool alone, where
    /// nobody sees them fail.
    pub fn doubt(&self) {
        self.state.doubt();
    }

    /// What is known of the server.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Looks whether the service could do its work.
    pub(super) async fn look(&self) -> Result<(), Unready> {
        self.probe.look(&self.state).await
    }

    /// What a statement came to, taken notice of.
    async fn noted<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        match outcome {
            Ok(value) => Ok(value),
            Err(error) => Err(self.explained(error).await),
        }
    }

    /// Takes notice of an error. A pool says the same when all connections are in use and when none can be made: here they are
    /// told apart.
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
        let outcome = self.noted(self.connection.execute_raw(statement).await).await;
        if outcome.is_ok() {
            self.state.has_room();
        }
        outcome
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noted(self.connection.execute_unprepared(sql).await).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        // SQLite commits when the statement ends, and the driver asks for one row and forgets how it ended.
        if self.get_database_backend() == DbBackend::Sqlite {
            return Ok(self.query_all_raw(statement).await?.into_iter().next());
        }
        self.noted(self.connection.query_one_raw(statement).await).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.noted(self.connection.query_all_raw(statement).await).await
    }
}
