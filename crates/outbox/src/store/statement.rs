//! A statement with its parameters, for each database and driver.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, postgres::PgArguments};
#[cfg(feature = "sqlite")]
use sqlx::{Sqlite, sqlite::SqliteArguments};
use uuid::Uuid;

use crate::sql::Sql;

/// A statement, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'v> {
    sql: Sql,
    values: Vec<Value<'v>>,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'v> {
    Number(i64),
    Text(Option<&'v str>),
    Uuid(Uuid),
    Time(DateTime<Utc>),
    /// PostgreSQL: a number. SQLite: text, for its time modifiers.
    Seconds(Duration),
    /// PostgreSQL: an array. SQLite: JSON.
    Ids(&'v [i64]),
    /// PostgreSQL: an array. SQLite: JSON, in capital hexadecimal digits as `hex()` writes them.
    MessageIds(&'v [Uuid]),
}

impl<'v> Statement<'v> {
    pub(crate) fn new<const N: usize>(sql: Sql, values: [Value<'v>; N]) -> Self {
        Self { sql, values: values.into() }
    }

    /// One that is only sent to PostgreSQL.
    pub(crate) fn postgres<const N: usize>(sql: &'static str, values: [Value<'v>; N]) -> Self {
        Self::new(Sql::same(sql), values)
    }

    pub(crate) fn for_postgres(&self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.values.iter().fold(sqlx::query(self.sql.postgres), |query, value| match *value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Uuid(id) => query.bind(id),
            Value::Time(time) => query.bind(time),
            Value::Seconds(duration) => query.bind(duration.as_secs_f64()),
            Value::Ids(ids) => query.bind(ids),
            Value::MessageIds(ids) => query.bind(ids),
        })
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn for_sqlite(&self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.iter().fold(sqlx::query(self.sql.sqlite), |query, value| match *value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Uuid(id) => query.bind(id),
            Value::Time(time) => query.bind(time),
            Value::Seconds(duration) => query.bind(modifier(duration)),
            Value::Ids(ids) => query.bind(json(ids)),
            Value::MessageIds(ids) => query.bind(hexadecimal(ids)),
        })
    }

    #[cfg(feature = "sea-orm")]
    pub(crate) fn for_sea_orm(&self, backend: sea_orm::DbBackend) -> sea_orm::Statement {
        let is_postgres = backend == sea_orm::DbBackend::Postgres;
        let sql = if is_postgres { self.sql.postgres } else { self.sql.sqlite };
        sea_orm::Statement::from_sql_and_values(backend, sql, self.values_for_sea_orm(backend))
    }

    #[cfg(feature = "sea-orm")]
    pub(crate) fn values_for_sea_orm(
        &self,
        backend: sea_orm::DbBackend,
    ) -> impl Iterator<Item = sea_orm::Value> {
        let is_postgres = backend == sea_orm::DbBackend::Postgres;
        self.values.iter().map(move |value| match *value {
            Value::Number(number) => number.into(),
            Value::Text(text) => text.map(str::to_owned).into(),
            Value::Uuid(id) => id.into(),
            Value::Time(time) => time.into(),
            Value::Seconds(duration) if is_postgres => duration.as_secs_f64().into(),
            Value::Seconds(duration) => modifier(duration).into(),
            Value::Ids(ids) if is_postgres => ids.to_vec().into(),
            Value::Ids(ids) => json(ids).into(),
            Value::MessageIds(ids) if is_postgres => ids.to_vec().into(),
            Value::MessageIds(ids) => hexadecimal(ids).into(),
        })
    }
}

/// Seconds, for a modifier of SQLite's time functions.
#[cfg(any(feature = "sqlite", feature = "sea-orm"))]
fn modifier(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

#[cfg(any(feature = "sqlite", feature = "sea-orm"))]
fn json(ids: &[i64]) -> String {
    serde_json::json!(ids).to_string()
}

#[cfg(any(feature = "sqlite", feature = "sea-orm"))]
fn hexadecimal(ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("{:X}", id.simple())).collect();
    serde_json::json!(ids).to_string()
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(text: Option<&'v str>) -> Self {
        Self::Text(text)
    }
}

impl From<Uuid> for Value<'_> {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl From<DateTime<Utc>> for Value<'_> {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time)
    }
}

impl From<Duration> for Value<'_> {
    fn from(duration: Duration) -> Self {
        Self::Seconds(duration)
    }
}

impl<'v> From<&'v [i64]> for Value<'v> {
    fn from(ids: &'v [i64]) -> Self {
        Self::Ids(ids)
    }
}

impl<'v> From<&'v [Uuid]> for Value<'v> {
    fn from(ids: &'v [Uuid]) -> Self {
        Self::MessageIds(ids)
    }
}
