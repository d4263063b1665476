//! Database connections: PostgreSQL with a schema for each service, or an embedded SQLite file.
//!
//! This is the only place that makes pools. Whatever a session needs is set by a statement on each connection, never by
//! start-up parameters, which poolers drop; and a connection is looked at before it is used: is it in the service's own schema,
//! at a server that takes writes, in no transaction that somebody left open? One that is not is thrown away.

mod failure;
mod options;
mod pool;
mod pooler;
mod probe;
mod schema;
mod session;
mod sqlite;
mod state;
mod transaction;

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
};
use sea_orm_migration::{MigratorTrait, async_trait::async_trait};
use tokio::time::Instant;

pub use self::{
    failure::Failure,
    pool::{MAX_CONNECTIONS, Settings},
    schema::migrate,
    transaction::{Transaction, begin},
};
use self::{
    probe::Probe,
    session::Refusal,
    state::{Server, State},
};
use crate::{
    Scope,
    config::{self, DatabaseUrl},
};

/// How long a start waits for a database that does not answer yet, or not as it should.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A pool of connections, and what is known of their server. Clones share it.
#[derive(Clone)]
pub struct Database {
    connection: DatabaseConnection,
    state: Arc<State>,
    probe: Arc<Probe>,
}

/// Opens the database of a service: makes its schema where it is missing, brings it up to date, and ends the process if it
/// vanishes later, so that the next start makes it anew.
///
/// # Errors
/// As [`connect`] and [`migrate`].
pub async fn open<M: MigratorTrait>(
    url: &DatabaseUrl,
    schema: &str,
    scope: &Scope,
) -> anyhow::Result<Database> {
    let database = connect(url, schema).await?;
    migrate::<M>(&database).await?;
    let watch = schema::ends_when_it_vanishes(database.clone(), scope.lifecycle.stopping());
    scope.lifecycle.spawn("database schema", watch);
    follow(&database, url, scope);
    Ok(database)
}

/// Takes up what the file says that `url` was read from, whenever it changes: a rotated password needs no restart.
pub fn follow(database: &Database, url: &DatabaseUrl, scope: &Scope) {
    let database = database.clone();
    let apply = move |url: &DatabaseUrl| database.reconnect_to(url);
    scope.lifecycle.spawn("database address", config::follow(url.clone(), apply, scope.lifecycle.stopping()));
}

/// Opens a pool as `settings` (or the name of a schema alone) want it, some of its connections at once. PostgreSQL makes the
/// schema when it is missing.
///
/// # Errors
/// The database cannot be reached within 30 seconds, refuses, or is not what the shop can work with: its words say why.
pub async fn connect(url: &DatabaseUrl, settings: impl Into<Settings>) -> anyhow::Result<Database> {
    url.warn();
    let settings = settings.into();
    let deadline = Instant::now() + START_PATIENCE;
    let mut pause = Duration::from_millis(200);
    loop {
        match pool::open(url, &settings).await {
            Ok(database) => return Ok(database),
            Err(error) if may_pass(url, &error) && Instant::now() + pause < deadline => {
                tracing::warn!(database = ?url, error = format!("{error:#}"), "the database does not answer yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(3));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("the database {url:?} cannot be opened"));
            }
        }
    }
}

/// Opens what is there already, for a tool: it creates neither a schema nor a file, and does not wait.
///
/// # Errors
/// The database cannot be reached, refuses, or has no such schema.
pub async fn attach(url: &DatabaseUrl, settings: impl Into<Settings>) -> anyhow::Result<Database> {
    let attached = pool::attach(url, &settings.into()).await;
    attached.with_context(|| format!("the database {url:?} cannot be opened"))
}

/// Like [`attach`], but connects when it is first used: a database that is away is told of then.
///
/// # Errors
/// The address cannot be understood.
pub fn lazily(url: &DatabaseUrl, settings: impl Into<Settings>) -> anyhow::Result<Database> {
    url.warn();
    let made = pool::lazily(url, &settings.into());
    made.with_context(|| format!("the database {url:?} cannot be opened"))
}

/// A pooler that shares sessions will go on doing so, and a file that cannot be opened is not waited for.
fn may_pass(url: &DatabaseUrl, error: &anyhow::Error) -> bool {
    !url.is_sqlite() && !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Refusal::Shared)))
}

impl Database {
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
        self.probe.look(&self.state).await.map_err(anyhow::Error::from)
    }

    /// Why connections cannot be had at the moment, as far as it is known: the pool itself tells only that it waited.
    pub fn trouble(&self) -> Option<String> {
        self.state.trouble()
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
    async fn explained(&self, error: DbErr) -> DbErr {
        self.state.note(&error);
        if Failure::of(&error) != Failure::Overloaded {
            return error;
        }
        match self.probe.look(&self.state).await {
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
