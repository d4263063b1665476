//! One connection to either database, and its results.

use sqlx::{Decode, PgConnection, Postgres, Row as _, Type, pool::PoolConnection, postgres::PgRow};
#[cfg(feature = "sqlite")]
use sqlx::{Sqlite, SqliteConnection, sqlite::SqliteRow};

use super::statement::Statement;

/// An open connection or transaction of sqlx, to PostgreSQL or (with the feature `sqlite`) to SQLite. `&mut *transaction` converts
/// to it.
#[derive(Debug)]
#[non_exhaustive]
pub enum SqlxConnection<'c> {
    /// To PostgreSQL.
    Postgres(&'c mut PgConnection),
    /// To SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(&'c mut SqliteConnection),
}

impl SqlxConnection<'_> {
    /// Runs a statement, and returns how many rows it has changed.
    pub(crate) async fn execute(&mut self, statement: &Statement<'_>) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Self::Postgres(connection) => {
                statement.for_postgres().execute(&mut **connection).await?.rows_affected()
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                statement.for_sqlite().execute(&mut **connection).await?.rows_affected()
            }
        })
    }

    pub(crate) async fn fetch_all(&mut self, statement: &Statement<'_>) -> Result<Vec<Record>, sqlx::Error> {
        Ok(match self {
            Self::Postgres(connection) => {
                let rows = statement.for_postgres().fetch_all(&mut **connection).await?;
                rows.into_iter().map(Record::Postgres).collect()
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                let rows = statement.for_sqlite().fetch_all(&mut **connection).await?;
                rows.into_iter().map(Record::Sqlite).collect()
            }
        })
    }

    /// Returns the first row.
    pub(crate) async fn fetch_optional(
        &mut self,
        statement: &Statement<'_>,
    ) -> Result<Option<Record>, sqlx::Error> {
        match self {
            Self::Postgres(connection) => {
                Ok(statement.for_postgres().fetch_optional(&mut **connection).await?.map(Record::Postgres))
            }
            // Reads all of them: SQLite commits when the statement has ended, and only then reports if it cannot.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(self.fetch_all(statement).await?.into_iter().next()),
        }
    }
}

impl<'c> From<&'c mut PgConnection> for SqlxConnection<'c> {
    fn from(connection: &'c mut PgConnection) -> Self {
        Self::Postgres(connection)
    }
}

impl<'c> From<&'c mut PoolConnection<Postgres>> for SqlxConnection<'c> {
    fn from(connection: &'c mut PoolConnection<Postgres>) -> Self {
        Self::Postgres(connection)
    }
}

impl<'c> From<&'c mut sqlx::Transaction<'_, Postgres>> for SqlxConnection<'c> {
    fn from(transaction: &'c mut sqlx::Transaction<'_, Postgres>) -> Self {
        Self::Postgres(transaction)
    }
}

#[cfg(feature = "sqlite")]
impl<'c> From<&'c mut SqliteConnection> for SqlxConnection<'c> {
    fn from(connection: &'c mut SqliteConnection) -> Self {
        Self::Sqlite(connection)
    }
}

#[cfg(feature = "sqlite")]
impl<'c> From<&'c mut PoolConnection<Sqlite>> for SqlxConnection<'c> {
    fn from(connection: &'c mut PoolConnection<Sqlite>) -> Self {
        Self::Sqlite(connection)
    }
}

#[cfg(feature = "sqlite")]
impl<'c> From<&'c mut sqlx::Transaction<'_, Sqlite>> for SqlxConnection<'c> {
    fn from(transaction: &'c mut sqlx::Transaction<'_, Sqlite>) -> Self {
        Self::Sqlite(transaction)
    }
}

/// A row of a result.
#[derive(Debug)]
pub(crate) enum Record {
    Postgres(PgRow),
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteRow),
}

impl Record {
    /// Returns the value of the column `name`.
    pub(crate) fn get<T: FromColumn>(&self, name: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(name),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => row.try_get(name),
        }
    }
}

/// What can be read from a column of either database.
#[cfg(feature = "sqlite")]
pub(crate) trait FromColumn:
    Type<Postgres> + for<'r> Decode<'r, Postgres> + Type<Sqlite> + for<'r> Decode<'r, Sqlite>
{
}
#[cfg(feature = "sqlite")]
impl<T> FromColumn for T where
    T: Type<Postgres> + for<'r> Decode<'r, Postgres> + Type<Sqlite> + for<'r> Decode<'r, Sqlite>
{
}

/// What can be read from a column.
#[cfg(not(feature = "sqlite"))]
pub(crate) trait FromColumn: Type<Postgres> + for<'r> Decode<'r, Postgres> {}
#[cfg(not(feature = "sqlite"))]
impl<T: Type<Postgres> + for<'r> Decode<'r, Postgres>> FromColumn for T {}
