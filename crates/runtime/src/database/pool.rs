//! Pools, and what they do with each connection: prepare it, check it before it is used, and close it when in doubt.

use std::{io, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sea_orm::SqlxPostgresConnector;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{
    failure::Failure,
    handle::Database,
    options, pooler, schema,
    session::{self, Refusal},
    settings::Settings,
    sqlite,
    state::{Server, State, TRUST},
};
use crate::config::DatabaseUrl;

/// How many connections are opened before the service is ready, and kept.
const WARM: u32 = 4;

/// How long a request waits for a connection; after that, the service is overloaded and should say so.
const ACQUIRE: Duration = Duration::from_secs(3);

/// How long checking a connection may take; a machine that is gone never answers.
const LOOK: Duration = Duration::from_millis(1500);

/// How long a connection's last statement may still run when the connection is returned.
const RETURN: Duration = Duration::from_secs(5);

/// The maximum age of a connection: by then, the address may lead to another server.
const LIFETIME: Duration = Duration::from_secs(600);

/// How long opening a connection may take at start.
const CONNECT: Duration = Duration::from_secs(5);

/// For a service: creates what is missing, and opens some connections.
pub(super) async fn open(url: &DatabaseUrl, settings: &Settings) -> anyhow::Result<Database> {
    if url.is_sqlite() {
        return sqlite::open(url, settings, true).await;
    }
    let (state, options) = state(url, settings)?;
    let mut connection = first(&state, &options).await?;
    schema::create(&mut connection, &settings.schema).await?;
    session::prepare(&mut connection, state.settings()).await.map_err(in_words)?;
    connection.close().await?;
    let pool = pool(&state).acquire_timeout(ACQUIRE).min_connections(WARM.min(settings.connections));
    let pool = pool.connect_with(options).await?;
    Ok(Database::new(SqlxPostgresConnector::from_sqlx_postgres_pool(pool), state))
}

/// For a tool: opens an existing database.
pub(super) async fn attach(url: &DatabaseUrl, settings: &Settings) -> anyhow::Result<Database> {
    if url.is_sqlite() {
        return sqlite::open(url, settings, false).await;
    }
    let mut settings = settings.clone();
    // A person may take any time to read the output.
    settings.session.retain(|(name, _)| name != "idle_in_transaction_session_timeout");
    let (state, options) = state(url, &settings)?;
    let mut connection = first(&state, &options).await?;
    session::prepare(&mut connection, state.settings()).await.map_err(in_words)?;
    connection.close().await?;
    let pool = pool(&state).acquire_timeout(CONNECT).connect_lazy_with(options);
    Ok(Database::new(SqlxPostgresConnector::from_sqlx_postgres_pool(pool), state))
}

pub(super) fn lazily(url: &DatabaseUrl, settings: &Settings) -> anyhow::Result<Database> {
    if url.is_sqlite() {
        return sqlite::lazily(url, settings);
    }
    let (state, options) = state(url, settings)?;
    let pool = pool(&state).acquire_timeout(CONNECT).connect_lazy_with(options);
    Ok(Database::new(SqlxPostgresConnector::from_sqlx_postgres_pool(pool), state))
}

fn state(url: &DatabaseUrl, settings: &Settings) -> anyhow::Result<(Arc<State>, PgConnectOptions)> {
    let options = options::postgres(url, &settings.schema)?;
    Ok((Arc::new(State::new(settings.of(url), Server::Postgres(options.clone()))), options))
}

/// Opens the first connection, to a server or through a pooler that does not share sessions.
async fn first(state: &State, options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let mut connection = timeout(CONNECT, options.connect())
        .await
        .map_err(|_| anyhow::anyhow!("it does not answer within {CONNECT:?}"))??;
    pooler::refuse_if_shared(&mut connection, options).await.map_err(in_words)?;
    state.found_unshared();
    Ok(connection)
}

/// Removes "error with configuration", which the driver adds to a refusal.
fn in_words(error: sqlx::Error) -> anyhow::Error {
    match Refusal::of(&error).cloned() {
        Some(refusal) => refusal.into(),
        None => error.into(),
    }
}

fn pool(state: &Arc<State>) -> PgPoolOptions {
    let options = PgPoolOptions::new()
        .max_connections(state.settings().connections)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(LIFETIME)
        // We check connections ourselves, and less often.
        .test_before_acquire(false);
    let (admitting, using, returning) = (state.clone(), state.clone(), state.clone());
    options
        .after_connect(move |connection, _| boxed(admit(connection, admitting.clone())))
        .before_acquire(move |connection, age| boxed(may_use(connection, age, using.clone())))
        .after_release(move |connection, _| boxed(may_return(connection, returning.clone())))
}

fn boxed<'c, T>(work: impl Future<Output = T> + Send + 'c) -> BoxFuture<'c, T> {
    Box::pin(work)
}

/// Sets up a new connection, or refuses it.
async fn admit(connection: &mut PgConnection, state: Arc<State>) -> Result<(), sqlx::Error> {
    let admitted = async {
        if let (false, Server::Postgres(options)) = (state.is_unshared(), state.server()) {
            pooler::refuse_if_shared(connection, &options).await?;
            state.found_unshared();
        }
        session::prepare(connection, state.settings()).await
    };
    let admitted = admitted.await;
    match &admitted {
        Ok(()) => state.untroubled(),
        Err(error) => refused(&state, error),
    }
    admitted
}

/// Whether an idle connection may be used: it is not checked if there is no reason for doubt and it has just answered.
async fn may_use(
    connection: &mut PgConnection,
    metadata: PoolConnectionMetadata,
    state: Arc<State>,
) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() || state.is_outdated(metadata.age) {
        return Ok(false);
    }
    if metadata.idle_for < TRUST && !state.is_in_doubt() {
        return Ok(true);
    }
    looked(timeout(LOOK, session::look(connection, state.settings())).await, &state)
}

/// Whether a connection may go back to the pool, once what was cut off in the middle is over.
///
/// Without doubt it is not asked here: the pool itself asks each connection that it takes back, and does so once more after this.
/// A server that vanishes in just that moment keeps the connection's place until the kernel gives it up.
async fn may_return(connection: &mut PgConnection, state: Arc<State>) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        return Ok(false);
    }
    if state.is_in_doubt() {
        return looked(timeout(RETURN, session::look(connection, state.settings())).await, &state);
    }
    // Waits for the answers to what was sent, if there are any, and sends nothing.
    let settled = looked(timeout(RETURN, connection.flush()).await, &state)?;
    Ok(settled && !connection.is_in_transaction())
}

/// An error means that the connection is already broken, `false` that it should be closed gracefully.
fn looked(
    outcome: Result<Result<(), sqlx::Error>, tokio::time::error::Elapsed>,
    state: &State,
) -> Result<bool, sqlx::Error> {
    let outcome = outcome.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
    match outcome {
        Ok(()) => Ok(true),
        Err(error) => {
            state.doubt();
            match Refusal::of(&error) {
                Some(refusal) => {
                    tracing::debug!(%refusal, "a connection is closed");
                    Ok(false)
                }
                None => Err(error),
            }
        }
    }
}

fn refused(state: &State, error: &sqlx::Error) {
    match Refusal::of(error) {
        Some(refusal) => state.refused(refusal),
        None => {
            let failure = Failure::of_driver(error);
            state.note_failure(failure);
            state.troubled(error.to_string(), failure == Failure::Vanished);
        }
    }
}
