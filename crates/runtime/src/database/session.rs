//! A PostgreSQL session: what is set on it when it is opened, and what is checked before it is used.
//!
//! Everything uses the simple protocol, in one message: it takes one round trip, and needs no prepared statement.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};
use thiserror::Error;

use super::settings::Settings;

/// Why a connection is not used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("the server takes no writes: it is a standby, was demoted, or is set to read-only")]
    ReadOnly,
    #[error("there is no schema {0:?}, or this user may not use it")]
    NoSchema(String),
    #[error(
        "the session is in the schema {found:?} and not in {wanted:?}: something in between changes its search_path"
    )]
    OtherSchema { wanted: String, found: String },
    #[error("the session is in a transaction that was never ended")]
    InTransaction,
    #[error(
        "the pooler in front of the database gives a session's transactions to several servers (pool_mode = transaction or \
         statement): set pool_mode = session, or give the database's direct address"
    )]
    Shared,
}

/// Checks a session.
const LOOK: &str = "SELECT coalesce(current_schema(), '') AS schema, \
     current_setting('transaction_read_only') = 'on' AS read_only, \
     now() <> statement_timestamp() AS in_transaction";

/// Sets on a new session what the service relies on, and checks that it took effect.
pub(super) async fn prepare(connection: &mut PgConnection, settings: &Settings) -> Result<(), sqlx::Error> {
    let rows =
        sqlx::raw_sql(AssertSqlSafe(format!("{}; {LOOK}", set(settings)))).fetch_all(connection).await?;
    judge(rows.last(), settings)
}

/// Checks that the session is still as it was set up.
pub(super) async fn look(connection: &mut PgConnection, settings: &Settings) -> Result<(), sqlx::Error> {
    judge(Some(&sqlx::raw_sql(LOOK).fetch_one(connection).await?), settings)
}

fn judge(row: Option<&PgRow>, settings: &Settings) -> Result<(), sqlx::Error> {
    let row = row.ok_or(sqlx::Error::RowNotFound)?;
    let found: String = row.try_get("schema")?;
    let wanted = settings.schema.clone();
    let refusal = if row.try_get("in_transaction")? {
        Refusal::InTransaction
    } else if found.is_empty() {
        Refusal::NoSchema(wanted)
    } else if found != wanted {
        Refusal::OtherSchema { wanted, found }
    } else if row.try_get("read_only")? && !settings.any_server {
        Refusal::ReadOnly
    } else {
        return Ok(());
    };
    Err(refusal.into())
}

/// `set_config(…, false)`: for the whole session, in a form that one statement can contain.
fn set(settings: &Settings) -> String {
    let mut statement = format!(
        "SELECT set_config('search_path', {}, false)",
        literal(&format!("\"{}\"", settings.schema.replace('"', "\"\"")))
    );
    for (name, value) in &settings.session {
        // Writing to a String cannot fail.
        let _ = write!(statement, ", set_config({}, {}, false)", literal(name), literal(value));
    }
    statement
}

/// A string literal, correct whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

impl From<Refusal> for sqlx::Error {
    fn from(refusal: Refusal) -> Self {
        Self::Configuration(Box::new(refusal))
    }
}

impl Refusal {
    /// The refusal that `error` contains, if any.
    pub(super) fn of(error: &sqlx::Error) -> Option<&Self> {
        match error {
            sqlx::Error::Configuration(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name_whatever_is_in_it() {
        let mut settings = Settings::from(r#"a"b'c\d"#);
        settings.session.clear();
        assert_eq!(set(&settings), r#"SELECT set_config('search_path', E'"a""b''c\\d"', false)"#);
    }
}
