//! Which rows may be sent now.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use shop_messaging::{HeaderValue, Message};
use uuid::Uuid;

use super::{Store, StoreError, connection::Record, statement::Statement};
use crate::{
    sql::claim::{CLAIM, PEEK},
    trace,
};

/// The unit of ordering: the type and the id of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Aggregate {
    pub(crate) kind: String,
    pub(crate) id: String,
}

/// A claimed row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) aggregate: Aggregate,
    pub(crate) attempts: u32,
    /// Its headers contain the trace context in which it was appended.
    pub(crate) message: Message,
}

impl Store {
    /// Returns the oldest rows that may be sent now: at most `count` and `bytes` of payload, from the id `floor` on,
    /// and none of `except`.
    ///
    /// There is no cursor: the next call sees the lower ids of a transaction that commits late. A row is held
    /// back while an older row of its aggregate is dead or waits for its next attempt.
    pub(crate) async fn claim(
        &self,
        floor: i64,
        count: usize,
        bytes: usize,
        except: &[i64],
    ) -> Result<Vec<Row>, StoreError> {
        let values = [floor.into(), except.into(), (count as i64).into(), (bytes as i64).into()];
        let claimed = self.fetch_all(Statement::new(CLAIM, values)).await?;
        Ok(claimed.iter().map(Row::read).collect::<Result<_, _>>()?)
    }

    /// Whether a claim could find anything: a pending row from the id `floor` on, apart from `except`, is due. It costs much less than a
    /// claim, and does not look whether another row of the aggregate holds that row back.
    pub(crate) async fn peek(&self, floor: i64, except: &[i64]) -> Result<bool, StoreError> {
        let found = self.fetch_optional(Statement::new(PEEK, [floor.into(), except.into()])).await?;
        Ok(found.is_some())
    }
}

impl Row {
    fn read(row: &Record) -> Result<Self, sqlx::Error> {
        let aggregate = Aggregate { kind: row.get("aggregate_type")?, id: row.get("aggregate_id")? };
        let version: i64 = row.get("aggregate_version")?;
        let mut headers = trace::read(&row.get::<String>("headers")?);
        headers.extend([
            ("aggregate_type".to_owned(), HeaderValue::from(aggregate.kind.as_str())),
            ("aggregate_id".to_owned(), aggregate.id.as_str().into()),
            ("aggregate_version".to_owned(), version.into()),
        ]);
        Ok(Self {
            id: row.get("id")?,
            attempts: u32::try_from(row.get::<i32>("attempts")?).unwrap_or_default(),
            message: Message {
                id: row.get::<Uuid>("message_id")?,
                kind: row.get("event_type")?,
                routing_key: row.get("routing_key")?,
                app_id: String::new(),
                timestamp: row.get::<DateTime<Utc>>("created_at")?,
                headers,
                payload: Bytes::from(row.get::<String>("payload")?),
            },
            aggregate,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row that was never in a database, for tests of pure code.
    pub(crate) fn row(id: i64, aggregate: &str, size: usize) -> Row {
        Row {
            id,
            aggregate: Aggregate { kind: "test".to_owned(), id: aggregate.to_owned() },
            attempts: 0,
            message: Message {
                id: Uuid::nil(),
                kind: "tested".to_owned(),
                routing_key: "test.tested".to_owned(),
                app_id: "test".to_owned(),
                timestamp: DateTime::UNIX_EPOCH,
                headers: Default::default(),
                payload: Bytes::from(vec![b' '; size]),
            },
        }
    }
}

#[cfg(all(test, feature = "sqlite"))]
#[expect(clippy::unwrap_used, reason = "a test that fails may panic; clippy knows only `#[test]` functions")]
mod peeking {
    use uuid::Uuid;

    use crate::{NewMessage, Pool, Store, append_sqlx, migration};

    /// Two rows, with the ids 1 and 2.
    async fn outbox(url: &str) -> (Pool, Store) {
        let pool = Pool::connect(url).await.unwrap();
        migration::apply(&pool).await.unwrap();
        let message = NewMessage {
            id: Uuid::nil(),
            aggregate_type: "thing".to_owned(),
            aggregate_id: "a".to_owned(),
            aggregate_version: 1,
            event_type: "thing_changed".to_owned(),
            routing_key: "thing.changed".to_owned(),
            payload: "{}".to_owned(),
            headers: Default::default(),
            created_at: chrono::DateTime::UNIX_EPOCH,
        };
        for _ in 0..2 {
            match &pool {
                Pool::Postgres(pool) => {
                    append_sqlx(&mut *pool.acquire().await.unwrap(), &message).await.unwrap();
                }
                Pool::Sqlite(pool) => {
                    append_sqlx(&mut *pool.acquire().await.unwrap(), &message).await.unwrap();
                }
            }
        }
        let store = Store::new(pool.clone(), "publisher");
        (pool, store)
    }

    async fn sees_what_is_due_and_not_excepted(url: &str) {
        let (pool, store) = outbox(url).await;
        for (floor, except, found) in [
            (0, &[][..], true),
            (0, &[1], true),
            (2, &[1], true),
            (0, &[1, 2], false),
            (2, &[2], false),
            (3, &[], false),
        ] {
            assert_eq!(store.peek(floor, except).await.unwrap(), found, "{floor} {except:?}");
        }
        let delay = "UPDATE outbox_messages SET available_at = ";
        match &pool {
            Pool::Postgres(pool) => {
                let later = format!("{delay} now() + interval '1 hour'");
                sqlx::raw_sql(sqlx::AssertSqlSafe(later)).execute(pool).await.unwrap();
            }
            Pool::Sqlite(pool) => {
                let later = format!("{delay} strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '+1 hour')");
                sqlx::raw_sql(sqlx::AssertSqlSafe(later)).execute(pool).await.unwrap();
            }
        }
        assert!(!store.peek(0, &[]).await.unwrap(), "not due");
    }

    #[tokio::test]
    async fn a_peek_sees_what_is_due_and_not_excepted_on_postgresql() {
        let Some(database) = shop_testing::postgres().await else { return };
        sees_what_is_due_and_not_excepted(&database.url).await;
    }

    #[tokio::test]
    async fn a_peek_sees_what_is_due_and_not_excepted_on_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("outbox.db").display());
        sees_what_is_due_and_not_excepted(&url).await;
    }
}
