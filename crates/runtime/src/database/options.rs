//! Converts an address to the drivers' connection options.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::config::{DatabaseUrl, TargetSession};

/// The options with which a session is opened: only what poolers pass on. The rest is set by a statement (see `session`).
pub(super) fn postgres(url: &DatabaseUrl, application: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose())?;
    Ok(options
        .application_name(application)
        // PostgreSQL 12 and later write floats exactly by default, and PgBouncer refuses the parameter unless it is configured
        // to ignore it.
        .extra_float_digits(None)
        .disable_statement_logging())
}

pub(super) fn sqlite(url: &DatabaseUrl, create: bool) -> Result<SqliteConnectOptions, sqlx::Error> {
    let options = SqliteConnectOptions::from_str(url.expose())?;
    Ok(options
        .create_if_missing(create)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging())
}

/// A database that belongs to a single connection, and ends with it.
pub(super) fn is_in_memory(url: &DatabaseUrl) -> bool {
    url.is_sqlite() && (url.expose().contains(":memory:") || url.expose().contains("mode=memory"))
}

/// Whether a server that accepts no writes is acceptable (libpq's `target_session_attrs=any`).
pub(super) fn any_server(url: &DatabaseUrl) -> bool {
    url.target_session() == TargetSession::Any
}
