//! Database connections: PostgreSQL with a schema for each service, or an embedded SQLite file.
//!
//! Only this module creates pools. Whatever a session needs is set by a statement on each connection, never by
//! start-up parameters, which poolers drop. A connection is checked before it is used: is it in the service's own schema,
//! on a server that accepts writes, and in no transaction that somebody left open? Otherwise it is closed.

mod failure;
mod handle;
mod history;
mod hot;
mod options;
mod pool;
mod pooler;
mod probe;
mod schema;
mod session;
mod settings;
mod sqlite;
mod state;
mod transaction;

use std::time::Duration;

use anyhow::Context as _;
use backon::{ExponentialBuilder, Retryable as _};
use sea_orm_migration::MigratorTrait;
use tokio::time::Instant;

use self::session::Refusal;
pub use self::{
    failure::Failure,
    handle::Database,
    schema::migrate,
    settings::{MAX_CONNECTIONS, SERVICE_CONNECTIONS, Settings},
    transaction::{Transaction, begin},
};
use crate::{
    Scope,
    config::{self, DatabaseUrl},
};

/// How long a start waits for a database that does not answer yet, or not as it should.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// The pauses between the attempts of a start.
const START_PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(LONGEST_PAUSE)
    .without_max_times();
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Opens a service's database: creates its schema if it is missing, migrates it, and registers it as a
/// required dependency for readiness. The process exits if the schema vanishes later, so that the next start creates it again.
///
/// # Errors
/// As [`migrated`].
pub async fn open<M: MigratorTrait>(
    url: &DatabaseUrl,
    settings: impl Into<Settings>,
    scope: &Scope,
) -> anyhow::Result<Database> {
    let database = migrated::<M>(url, settings).await?;
    let watch = schema::ends_when_it_vanishes(database.clone(), scope.lifecycle.stopping());
    scope.lifecycle.spawn("database schema", watch);
    follow(&database, url, scope);
    scope.health.requires("database", database.readiness());
    Ok(database)
}

/// Connects and migrates the schema, which is all that `<service> migrate` does.
///
/// # Errors
/// As [`connect`] and [`migrate`].
pub async fn migrated<M: MigratorTrait>(
    url: &DatabaseUrl,
    settings: impl Into<Settings>,
) -> anyhow::Result<Database> {
    let database = connect(url, settings).await?;
    migrate::<M>(&database).await?;
    Ok(database)
}

/// Applies changes to the file that `url` was read from: a rotated password needs no restart.
pub fn follow(database: &Database, url: &DatabaseUrl, scope: &Scope) {
    let database = database.clone();
    let apply = move |url: &DatabaseUrl| database.reconnect_to(url);
    scope.lifecycle.spawn("database address", config::follow(url.clone(), apply, scope.lifecycle.stopping()));
}

/// Opens a pool with `settings` (or just the name of a schema), some of its connections at once. On PostgreSQL it creates the
/// schema if it is missing.
///
/// # Errors
/// The database cannot be reached within 30 seconds, refuses, or cannot be used by the shop: the message says why.
pub async fn connect(url: &DatabaseUrl, settings: impl Into<Settings>) -> anyhow::Result<Database> {
    url.warn();
    let settings = settings.into();
    let deadline = Instant::now() + START_PATIENCE;
    let opening = (|| pool::open(url, &settings))
        .retry(START_PAUSES)
        .when(|error| may_pass(url, error) && Instant::now() + LONGEST_PAUSE < deadline)
        .notify(|error, _| {
            tracing::warn!(database = ?url, error = format!("{error:#}"), "the database does not answer yet");
        });
    opening.await.with_context(|| format!("the database {url:?} cannot be opened"))
}

/// Opens an existing database, for a tool: it creates neither a schema nor a file, and does not wait.
///
/// # Errors
/// The database cannot be reached, refuses, or has no such schema.
pub async fn attach(url: &DatabaseUrl, settings: impl Into<Settings>) -> anyhow::Result<Database> {
    let attached = pool::attach(url, &settings.into()).await;
    attached.with_context(|| format!("the database {url:?} cannot be opened"))
}

/// Like [`attach`], but connects on first use: only then is a database reported as away.
///
/// # Errors
/// The address is invalid.
pub fn lazily(url: &DatabaseUrl, settings: impl Into<Settings>) -> anyhow::Result<Database> {
    url.warn();
    let made = pool::lazily(url, &settings.into());
    made.with_context(|| format!("the database {url:?} cannot be opened"))
}

/// A pooler that shares sessions, and a file that cannot be opened, will not change by waiting.
fn may_pass(url: &DatabaseUrl, error: &anyhow::Error) -> bool {
    !url.is_sqlite() && !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Refusal::Shared)))
}
