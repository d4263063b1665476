//! The outbox's tables as the publisher uses them. Statements work on whole windows, never on one message.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement, Value};
use serde::Serialize;
use shop_messaging::{HeaderValue, Message};
use uuid::Uuid;

use crate::{
    fence::{Lease, Tenure, boottime},
    trace,
};

/// Pending rows are counted up to this many: the number is for people, and a count must stay cheap.
pub(crate) const COUNT_UP_TO: i64 = 100_000;

/// The tables `outbox_messages` and `outbox_publishers` of one database (and, on PostgreSQL, of one schema: the
/// first one in the connection's `search_path`).
#[derive(Clone)]
pub struct Store {
    database: DatabaseConnection,
    pub(crate) publisher: String,
    refusals: Option<Arc<Refusals>>,
}

/// Tells why the pool throws connections away.
type Refusals = dyn Fn() -> Option<String> + Send + Sync;

/// What an operator wants to know of an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Rows that wait, 100,000 at most.
    pub pending: i64,
    /// Rows that were given up.
    pub dead: i64,
    /// How long the oldest waiting row has waited, in seconds.
    pub oldest_pending_seconds: f64,
}

/// What is published in order: the type and the id of an aggregate.
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
    /// Its headers hold the trace context in which it was appended.
    pub(crate) message: Message,
}

/// What became of a window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) sent: Vec<i64>,
    pub(crate) failed: Vec<Failure>,
}

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.failed.is_empty()
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.sent.extend(others.sent);
        self.failed.extend(others.failed);
    }
}

/// A row that the broker did not take.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) id: i64,
    pub(crate) error: String,
    /// Seconds until it is tried again; below zero: dead.
    pub(crate) pause: f64,
}

/// A transaction that has written to the outbox and has not ended: its virtual id.
pub(crate) type Writer = String;

/// The ends of what is not settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsettled {
    /// The lowest id of a row that is pending or dead.
    pub(crate) oldest: Option<i64>,
    /// The highest id of any row; all ids below it have been given out.
    pub(crate) newest: i64,
}

/// Whether a write found this publisher still in its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fence {
    Holds,
    Lost,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("publisher", &self.publisher).finish_non_exhaustive()
    }
}

impl Store {
    /// The outbox in `database`; publishers that share `publisher` as their name exclude each other.
    ///
    /// On PostgreSQL each session of `database` is to be in the outbox's schema and to have the settings of [`SESSION`]; set them
    /// by a statement on each new connection (`after_connect`), because poolers drop start-up parameters.
    pub fn new(database: DatabaseConnection, publisher: impl Into<String>) -> Self {
        Self { database, publisher: publisher.into(), refusals: None }
    }

    /// Has `refusals` say why connections are thrown away, if they are: of a pool that looks at each, which the driver keeps silent
    /// about.
    #[must_use]
    pub fn refusing(mut self, refusals: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.refusals = Some(Arc::new(refusals));
        self
    }

    /// Why no connection of the pool can be had, if whoever made it knows.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refusals.as_ref().and_then(|refusals| refusals())
    }

    pub(crate) fn database(&self) -> &DatabaseConnection {
        &self.database
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.database.get_database_backend() == DbBackend::Postgres
    }

    pub(crate) fn statement(
        &self,
        postgres: &str,
        sqlite: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Statement {
        let backend = self.database.get_database_backend();
        Statement::from_sql_and_values(backend, if self.is_postgres() { postgres } else { sqlite }, values)
    }

    /// A list of ids as each database takes it.
    pub(crate) fn ids(&self, ids: &[i64]) -> Value {
        if self.is_postgres() { ids.to_vec().into() } else { serde_json::json!(ids).to_string().into() }
    }

    /// Takes the lease if it is free or has run out, and raises the epoch; `None` while another holds it.
    pub(crate) async fn acquire(&self, holder: &str, term: Duration) -> Result<Option<Lease>, DbErr> {
        let free = (
            " WHERE p.lease_expires_at <= clock_timestamp()",
            " WHERE p.lease_expires_at <= strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
        );
        self.take(holder, term, None, free).await
    }

    /// Takes the lease whoever holds it, and raises the epoch: what another does under the one before marks nothing any more.
    pub(crate) async fn take_over(
        &self,
        holder: &str,
        term: Duration,
        tenure: &Tenure,
    ) -> Result<Option<Lease>, DbErr> {
        self.take(holder, term, Some(tenure.clone()), ("", "")).await
    }

    async fn take(
        &self,
        holder: &str,
        term: Duration,
        given: Option<Tenure>,
        (postgres, sqlite): (&str, &str),
    ) -> Result<Option<Lease>, DbErr> {
        let asked = boottime();
        let statement = self.statement(
            &format!(
                "INSERT INTO outbox_publishers AS p (name, epoch, holder, lease_expires_at)
                 VALUES ($1, 1, $2, clock_timestamp() + make_interval(secs => $3))
                 ON CONFLICT (name) DO UPDATE
                 SET epoch = p.epoch + 1, holder = excluded.holder, lease_expires_at = excluded.lease_expires_at
                 {postgres} RETURNING epoch"
            ),
            &format!(
                "INSERT INTO outbox_publishers AS p (name, epoch, holder, lease_expires_at)
                 VALUES ($1, 1, $2, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', $3 || ' seconds'))
                 ON CONFLICT (name) DO UPDATE
                 SET epoch = p.epoch + 1, holder = excluded.holder, lease_expires_at = excluded.lease_expires_at
                 {sqlite} RETURNING epoch"
            ),
            [self.publisher.as_str().into(), holder.into(), self.seconds(term)],
        );
        // All of it, though it is one row: SQLite commits when the statement has ended, and only then tells if it cannot.
        let rows = self.database.query_all_raw(statement).await?;
        rows.first()
            .map(|row| Ok(Lease::new(row.try_get("", "epoch")?, Tenure::new(asked, term), given)))
            .transpose()
    }

    /// Makes the lease last for another `term`.
    pub(crate) async fn renew(&self, lease: &Lease, term: Duration) -> Result<Fence, DbErr> {
        let asked = boottime();
        let statement = self.statement(
            "UPDATE outbox_publishers SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE name = $1 AND epoch = $2",
            "UPDATE outbox_publishers
             SET lease_expires_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', $3 || ' seconds')
             WHERE name = $1 AND epoch = $2",
            [self.publisher.as_str().into(), lease.epoch.into(), self.seconds(term)],
        );
        if self.database.execute_raw(statement).await?.rows_affected() == 0 {
            return Ok(Fence::Lost);
        }
        lease.renewed(asked, term);
        Ok(Fence::Holds)
    }

    /// Gives the lease back and tells those who wait for it, so that they need not wait for its end.
    pub(crate) async fn release(&self, lease: &Lease) -> Result<(), DbErr> {
        let statement = self.statement(
            "WITH released AS (
                UPDATE outbox_publishers SET lease_expires_at = clock_timestamp() WHERE name = $1 AND epoch = $2
                RETURNING 1)
             SELECT pg_notify('outbox.' || current_schema(), 'released') FROM released",
            "UPDATE outbox_publishers SET lease_expires_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
             WHERE name = $1 AND epoch = $2",
            [self.publisher.as_str().into(), lease.epoch.into()],
        );
        self.database.query_one_raw(statement).await?;
        lease.revoke();
        Ok(())
    }

    /// Opens a connection, if there is none, and sees that it works.
    pub(crate) async fn ping(&self) -> Result<(), DbErr> {
        self.database.ping().await
    }

    /// Whether the next writer still is to notify: none has, not even one that has rolled back since.
    pub(crate) async fn is_asleep(&self) -> Result<bool, DbErr> {
        if !self.is_postgres() {
            return Ok(true);
        }
        let asked = "SELECT last_value = 1 AS asleep FROM outbox_asleep";
        let row = self.database.query_one_raw(Statement::from_string(DbBackend::Postgres, asked)).await?;
        row.map_or(Ok(false), |row| row.try_get("", "asleep"))
    }

    /// Says whether the next writer should notify. It takes effect at once, whatever becomes of the transaction, and does not
    /// wait for the disk: lost in a crash of the database, it costs one poll interval.
    pub(crate) async fn set_asleep(&self, asleep: bool) -> Result<(), DbErr> {
        if !self.is_postgres() {
            return Ok(());
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT setval('outbox_asleep', $1)
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS no_wait",
            [i64::from(asleep).into()],
        );
        self.database.query_one_raw(statement).await?;
        Ok(())
    }

    /// The transactions that may have written rows which nobody sees yet.
    pub(crate) async fn writers(&self) -> Result<HashSet<Writer>, DbErr> {
        if !self.is_postgres() {
            return Ok(HashSet::new());
        }
        // An INSERT locks the table before it takes an id, and the lock ends after its rows can be seen.
        let statement = Statement::from_string(
            DbBackend::Postgres,
            "SELECT virtualtransaction AS writer FROM pg_locks
             WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND relation = 'outbox_messages'::regclass",
        );
        let rows = self.database.query_all_raw(statement).await?;
        rows.iter().map(|row| row.try_get("", "writer")).collect()
    }

    /// Where the rows that may still be sent begin, and where all rows end.
    pub(crate) async fn unsettled(&self) -> Result<Unsettled, DbErr> {
        // OFFSET 0: or else the lowest dead id is looked for among all ids, from the lowest on, and they are mostly sent.
        let statement = self.statement(
            "SELECT (SELECT min(id) FROM outbox_messages WHERE status = 'pending') AS pending,
                    (SELECT min(id) FROM (
                        SELECT id FROM outbox_messages WHERE attempts > 0 AND status <> 'sent' AND status = 'dead'
                        OFFSET 0) AS d) AS dead,
                    coalesce((SELECT max(id) FROM outbox_messages), 0) AS newest",
            "SELECT (SELECT min(id) FROM outbox_messages WHERE status = 'pending') AS pending,
                    (SELECT min(id) FROM outbox_messages WHERE attempts > 0 AND status = 'dead') AS dead,
                    coalesce((SELECT max(id) FROM outbox_messages), 0) AS newest",
            [],
        );
        let row = self.database.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the ends of the outbox".to_owned()))?;
        let ends: [Option<i64>; 2] = [row.try_get("", "pending")?, row.try_get("", "dead")?];
        Ok(Unsettled { oldest: ends.into_iter().flatten().min(), newest: row.try_get("", "newest")? })
    }

    /// The oldest rows that may be sent now: `count` and `bytes` of payload at most, `floor` the lowest id to look
    /// at, none of `except`.
    ///
    /// There is no cursor: a transaction that commits late shows its lower ids to the next call. A row is held
    /// back while an older row of its aggregate is dead or waits for its next try.
    pub(crate) async fn claim(
        &self,
        floor: i64,
        count: usize,
        bytes: usize,
        except: &[i64],
    ) -> Result<Vec<Row>, DbErr> {
        // NOT IN over a set is a hash look-up whatever the planner knows (`<> ALL` compares with each id), and OFFSET 0 keeps
        // NOT EXISTS a look into the index for each row (as a join with ten thousand troubled rows it took a second).
        //
        // One moment for the whole statement: between two, a row could become due that has just been passed over, and the
        // next of its aggregate go first. The outer condition always lets the first row through, however large it is.
        let statement = self.statement(
            "SELECT * FROM (
                SELECT id, message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key,
                       payload::text AS payload, headers::text AS headers, attempts, created_at,
                       sum(octet_length(payload::text)) OVER w AS bytes, row_number() OVER w AS place
                FROM outbox_messages AS m
                WHERE status = 'pending' AND id >= $1 AND id NOT IN (SELECT unnest($2))
                  AND (available_at IS NULL OR available_at <= statement_timestamp())
                  AND NOT EXISTS (
                    SELECT FROM outbox_messages AS earlier
                    WHERE earlier.aggregate_type = m.aggregate_type AND earlier.aggregate_id = m.aggregate_id
                      AND earlier.id < m.id AND earlier.attempts > 0 AND earlier.status <> 'sent'
                      AND (earlier.status = 'dead' OR earlier.available_at > statement_timestamp()) OFFSET 0)
                WINDOW w AS (ORDER BY id ROWS UNBOUNDED PRECEDING)
                ORDER BY id LIMIT $3) AS claimed
             WHERE bytes <= $4 OR place = 1",
            "WITH clock AS MATERIALIZED (SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') AS now)
             SELECT * FROM (
                SELECT id, message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key,
                       payload, headers, attempts, created_at,
                       sum(octet_length(payload)) OVER w AS bytes, row_number() OVER w AS place
                FROM outbox_messages AS m, clock
                WHERE status = 'pending' AND id >= $1 AND id NOT IN (SELECT value FROM json_each($2))
                  AND (available_at IS NULL OR available_at <= clock.now)
                  AND NOT EXISTS (
                    SELECT 1 FROM outbox_messages AS earlier
                    WHERE earlier.aggregate_type = m.aggregate_type AND earlier.aggregate_id = m.aggregate_id
                      AND earlier.id < m.id AND earlier.attempts > 0 AND earlier.status <> 'sent'
                      AND (earlier.status = 'dead' OR earlier.available_at > clock.now))
                WINDOW w AS (ORDER BY id ROWS UNBOUNDED PRECEDING)
                ORDER BY id LIMIT $3) AS claimed
             WHERE bytes <= $4 OR place = 1",
            [floor.into(), self.ids(except), (count as i64).into(), (bytes as i64).into()],
        );
        self.database.query_all_raw(statement).await?.iter().map(Row::read).collect()
    }

    /// Marks what became of a window, if the epoch still is this publisher's: one statement for what was sent, one
    /// for what failed, each with the fence in it.
    pub(crate) async fn mark(&self, lease: &Lease, marks: &Marks) -> Result<Fence, DbErr> {
        if !marks.sent.is_empty() && self.mark_sent(lease, &marks.sent).await? == Fence::Lost {
            return Ok(Fence::Lost);
        }
        if marks.failed.is_empty() { Ok(Fence::Holds) } else { self.mark_failed(lease, &marks.failed).await }
    }

    async fn mark_sent(&self, lease: &Lease, sent: &[i64]) -> Result<Fence, DbErr> {
        let statement = self.statement(
            // FOR SHARE makes a taker-over wait for this mark, or this mark see the new epoch.
            "WITH fence AS (SELECT FROM outbox_publishers WHERE name = $1 AND epoch = $2 FOR SHARE),
                  marked AS (
                    UPDATE outbox_messages SET status = 'sent', sent_at = clock_timestamp(), last_error = NULL
                    WHERE id = ANY ($3) AND status = 'pending' AND EXISTS (SELECT FROM fence)
                    RETURNING 1)
             SELECT (SELECT count(*) FROM fence) AS fence, (SELECT count(*) FROM marked) AS marked",
            "UPDATE outbox_messages
             SET status = 'sent', sent_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), last_error = NULL
             WHERE id IN (SELECT value FROM json_each($3)) AND status = 'pending'
               AND EXISTS (SELECT 1 FROM outbox_publishers WHERE name = $1 AND epoch = $2)",
            [self.publisher.as_str().into(), lease.epoch.into(), self.ids(sent)],
        );
        self.fenced(lease, statement).await
    }

    async fn mark_failed(&self, lease: &Lease, failed: &[Failure]) -> Result<Fence, DbErr> {
        let failed = serde_json::to_string(failed).map_err(|error| DbErr::Json(error.to_string()))?;
        let statement = self.statement(
            "WITH fence AS (SELECT FROM outbox_publishers WHERE name = $1 AND epoch = $2 FOR SHARE),
                  marked AS (
                    UPDATE outbox_messages AS m
                    SET attempts = attempts + 1, last_error = f.error,
                        status = CASE WHEN f.pause < 0 THEN 'dead' ELSE 'pending' END,
                        available_at = clock_timestamp() + make_interval(secs => greatest(f.pause, 0))
                    FROM json_to_recordset(CAST($3::text AS json)) AS f (id bigint, error text, pause float8)
                    WHERE m.id = f.id AND m.status = 'pending' AND EXISTS (SELECT FROM fence)
                    RETURNING 1)
             SELECT (SELECT count(*) FROM fence) AS fence, (SELECT count(*) FROM marked) AS marked",
            "UPDATE outbox_messages
             SET attempts = attempts + 1, last_error = f.error,
                 status = CASE WHEN f.pause < 0 THEN 'dead' ELSE 'pending' END,
                 available_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', max(f.pause, 0) || ' seconds')
             FROM (SELECT value ->> 'id' AS id, value ->> 'error' AS error, value ->> 'pause' AS pause
                   FROM json_each($3)) AS f
             WHERE outbox_messages.id = f.id AND status = 'pending'
               AND EXISTS (SELECT 1 FROM outbox_publishers WHERE name = $1 AND epoch = $2)",
            [self.publisher.as_str().into(), lease.epoch.into(), failed.into()],
        );
        self.fenced(lease, statement).await
    }

    /// Runs a mark. PostgreSQL answers for the fence in the same statement. SQLite has one writer at a time, so
    /// asking afterwards tells the truth about the mark: epochs only rise.
    async fn fenced(&self, lease: &Lease, mark: Statement) -> Result<Fence, DbErr> {
        let row = if self.is_postgres() {
            self.database.query_one_raw(mark).await?
        } else {
            self.database.execute_raw(mark).await?;
            let fence = "SELECT count(*) AS fence FROM outbox_publishers WHERE name = $1 AND epoch = $2";
            let values = [self.publisher.as_str().into(), lease.epoch.into()];
            self.database.query_one_raw(self.statement(fence, fence, values)).await?
        };
        let held = row.map(|row| row.try_get::<i64>("", "fence")).transpose()?;
        Ok(if held == Some(1) { Fence::Holds } else { Fence::Lost })
    }

    /// Removes at most `chunk` of the oldest sent rows from id `from` on, if they are older than `retention`; answers
    /// how many, and the highest id among them.
    ///
    /// Only the lowest `chunk` sent ids are looked at: ids rise with time, so there is no need of an index on
    /// `sent_at`, which every mark would have to pay for.
    pub(crate) async fn retire(
        &self,
        retention: Duration,
        from: i64,
        chunk: u32,
    ) -> Result<(u64, Option<i64>), DbErr> {
        let statement = self.statement(
            "DELETE FROM outbox_messages WHERE id IN (
                SELECT id FROM (
                    SELECT id, sent_at FROM outbox_messages
                    WHERE status = 'sent' AND id >= $3 ORDER BY id LIMIT $2) AS oldest
                WHERE sent_at < clock_timestamp() - make_interval(secs => $1))
             RETURNING id",
            "DELETE FROM outbox_messages WHERE id IN (
                SELECT id FROM (
                    SELECT id, sent_at FROM outbox_messages
                    WHERE status = 'sent' AND id >= $3 ORDER BY id LIMIT $2) AS oldest
                WHERE sent_at < strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-' || $1 || ' seconds'))
             RETURNING id",
            [self.seconds(retention), i64::from(chunk).into(), from.into()],
        );
        let removed = self.database.query_all_raw(statement).await?;
        let ids: Vec<i64> = removed.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
        Ok((ids.len() as u64, ids.into_iter().max()))
    }

    /// What the outbox holds now.
    ///
    /// # Errors
    /// The database is away.
    pub async fn stats(&self) -> Result<Stats, DbErr> {
        let statement = self.statement(
            "SELECT (SELECT count(*) FROM (
                        SELECT FROM outbox_messages WHERE status = 'pending' LIMIT $1) AS p) AS pending,
                    (SELECT count(*) FROM outbox_messages WHERE attempts > 0 AND status = 'dead') AS dead,
                    coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
                        FROM outbox_messages WHERE status = 'pending' ORDER BY id LIMIT 1), 0) AS oldest",
            "SELECT (SELECT count(*) FROM (
                        SELECT 1 FROM outbox_messages WHERE status = 'pending' LIMIT $1) AS p) AS pending,
                    (SELECT count(*) FROM outbox_messages WHERE attempts > 0 AND status = 'dead') AS dead,
                    coalesce((SELECT (julianday('now') - julianday(created_at)) * 86400.0
                        FROM outbox_messages WHERE status = 'pending' ORDER BY id LIMIT 1), 0.0) AS oldest",
            [COUNT_UP_TO.into()],
        );
        let row = self.database.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("statistics".to_owned()))?;
        Ok(Stats {
            pending: row.try_get("", "pending")?,
            dead: row.try_get("", "dead")?,
            oldest_pending_seconds: row.try_get::<f64>("", "oldest")?.max(0.0),
        })
    }

    /// A length of time as each database takes it: SQLite's modifiers are texts.
    fn seconds(&self, duration: Duration) -> Value {
        let seconds = duration.as_secs_f64();
        if self.is_postgres() { seconds.into() } else { format!("{seconds:.3}").into() }
    }
}

/// What the planner is told in each session of a [`Store`] on PostgreSQL.
///
/// Each statement here is meant to follow one index in its order. PostgreSQL also knows plans that read the whole table, or
/// all pending rows to sort them, and prefers them while it believes the table to be small. It keeps plans, too: after
/// a burst such a one takes seconds for each claim. Planning anew takes a third of a millisecond for hundreds of rows.
///
/// The planner gives what is off a price beyond all measure, and a plan with such a price, if there is no other, is one that it
/// would compile first: hence no JIT either.
pub const SESSION: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("jit", "off"),
];

impl Row {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let aggregate =
            Aggregate { kind: row.try_get("", "aggregate_type")?, id: row.try_get("", "aggregate_id")? };
        let version: i64 = row.try_get("", "aggregate_version")?;
        let mut headers = trace::read(&row.try_get::<String>("", "headers")?);
        headers.extend([
            ("aggregate_type".to_owned(), HeaderValue::from(aggregate.kind.as_str())),
            ("aggregate_id".to_owned(), aggregate.id.as_str().into()),
            ("aggregate_version".to_owned(), version.into()),
        ]);
        Ok(Self {
            id: row.try_get("", "id")?,
            attempts: u32::try_from(row.try_get::<i32>("", "attempts")?).unwrap_or_default(),
            message: Message {
                id: row.try_get::<Uuid>("", "message_id")?,
                kind: row.try_get("", "event_type")?,
                routing_key: row.try_get("", "routing_key")?,
                app_id: String::new(),
                timestamp: row.try_get::<DateTime<Utc>>("", "created_at")?,
                headers,
                payload: Bytes::from(row.try_get::<String>("", "payload")?),
            },
            aggregate,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row that nobody wrote to a database, for the tests of pure code.
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
