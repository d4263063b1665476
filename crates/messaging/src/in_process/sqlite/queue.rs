//! The statements: each is part of the caller's transaction.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use chrono::DateTime;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{DeadLetter, EventLog, HeaderValue, Message, Subscription, topic};

type Result<T> = std::result::Result<T, sqlx::Error>;

/// A message at its place in a queue.
pub(super) struct Queued {
    pub(super) id: i64,
    /// How many times it was delivered.
    pub(super) deliveries: u32,
    pub(super) message: Message,
}

pub(super) async fn declare_exchange(db: &mut SqliteConnection, name: &str) -> Result<()> {
    sqlx::query("INSERT OR IGNORE INTO exchanges (name) VALUES (?)").bind(name).execute(db).await?;
    Ok(())
}

pub(super) async fn has_exchange(db: &mut SqliteConnection, name: &str) -> Result<bool> {
    let found = sqlx::query("SELECT 1 FROM exchanges WHERE name = ?").bind(name).fetch_optional(db).await?;
    Ok(found.is_some())
}

/// Creates the queue, its exchange and its bindings. An existing queue keeps its limits.
pub(super) async fn declare(db: &mut SqliteConnection, subscription: &Subscription) -> Result<()> {
    let Subscription { exchange, queue, patterns, delivery_limit, max_length, .. } = subscription;
    declare_exchange(db, exchange).await?;
    declare_queue(db, queue, (*delivery_limit).max(1), i64::from(*max_length), false).await?;
    for pattern in patterns {
        bind(db, exchange, pattern, queue).await?;
    }
    Ok(())
}

/// Creates the log of everything published to `exchange`.
pub(super) async fn declare_log(db: &mut SqliteConnection, exchange: &str, log: &EventLog) -> Result<()> {
    declare_queue(db, &log.name, 1, EventLog::EMBEDDED_LENGTH as i64, true).await?;
    bind(db, exchange, "#", &log.name).await
}

async fn declare_queue(
    db: &mut SqliteConnection,
    name: &str,
    delivery_limit: u32,
    max_length: i64,
    is_log: bool,
) -> Result<()> {
    let insert =
        "INSERT OR IGNORE INTO queues (name, delivery_limit, max_length, is_log) VALUES (?, ?, ?, ?)";
    sqlx::query(insert).bind(name).bind(delivery_limit).bind(max_length).bind(is_log).execute(db).await?;
    Ok(())
}

async fn bind(db: &mut SqliteConnection, exchange: &str, pattern: &str, queue: &str) -> Result<()> {
    let insert = "INSERT OR IGNORE INTO bindings (exchange, pattern, queue) VALUES (?, ?, ?)";
    sqlx::query(insert).bind(exchange).bind(pattern).bind(queue).execute(db).await?;
    Ok(())
}

/// How many times a message of `queue` is delivered; `None` if there is no such queue.
pub(super) async fn delivery_limit(db: &mut SqliteConnection, queue: &str) -> Result<Option<u32>> {
    let limit = "SELECT delivery_limit FROM queues WHERE name = ? AND NOT is_log";
    sqlx::query_scalar(limit).bind(queue).fetch_optional(db).await
}

/// The bindings of an exchange.
pub(super) struct Routes(Vec<(String, String)>);

impl Routes {
    pub(super) async fn of(db: &mut SqliteConnection, exchange: &str) -> Result<Self> {
        let bindings = "SELECT pattern, queue FROM bindings WHERE exchange = ?";
        Ok(Self(sqlx::query_as(bindings).bind(exchange).fetch_all(db).await?))
    }

    /// The queues that a message with `key` goes to, each once.
    pub(super) fn to(&self, key: &str) -> HashSet<&str> {
        let matching = self.0.iter().filter(|(pattern, _)| topic::matches(pattern, key));
        matching.map(|(_, queue)| queue.as_str()).collect()
    }
}

/// Puts the message at the end of `queue`. `false`: the queue is full.
pub(super) async fn push(db: &mut SqliteConnection, queue: &str, message: &Message) -> Result<bool> {
    let headers =
        serde_json::to_string(&message.headers).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let insert = "
        INSERT INTO messages (queue, message_id, kind, routing_key, app_id, happened_at, headers, payload)
        SELECT name, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM queues
        WHERE name = ?1 AND (is_log OR length < max_length)";
    let pushed = sqlx::query(insert)
        .bind(queue)
        .bind(message.id)
        .bind(&message.kind)
        .bind(&message.routing_key)
        .bind(&message.app_id)
        .bind(message.timestamp.timestamp_micros())
        .bind(headers)
        .bind(message.payload.as_ref())
        .execute(db)
        .await?;
    Ok(pushed.rows_affected() > 0)
}

/// Drops the oldest messages that exceed the limits of the logs of `exchange`.
pub(super) async fn trim_logs(db: &mut SqliteConnection, exchange: &str) -> Result<()> {
    let logs = "
        SELECT DISTINCT name, length - max_length FROM queues JOIN bindings ON queue = name
        WHERE exchange = ? AND is_log AND length > max_length";
    let logs: Vec<(String, i64)> = sqlx::query_as(logs).bind(exchange).fetch_all(&mut *db).await?;
    for (log, excess) in logs {
        let oldest = "DELETE FROM messages WHERE id IN (
            SELECT id FROM messages WHERE queue = ? AND death IS NULL ORDER BY id LIMIT ?)";
        sqlx::query(oldest).bind(log).bind(excess).execute(&mut *db).await?;
    }
    Ok(())
}

/// The first messages of `queue` that are not `taken`, `limit` at most.
pub(super) async fn ready(
    db: &mut SqliteConnection,
    queue: &str,
    taken: &HashSet<i64>,
    limit: usize,
) -> Result<Vec<Queued>> {
    let first = "
        SELECT * FROM messages
        WHERE queue = ? AND death IS NULL AND id NOT IN (SELECT value FROM json_each(?))
        ORDER BY id LIMIT ?";
    let rows = sqlx::query(first)
        .bind(queue)
        .bind(ids(taken.iter().copied()))
        .bind(limit as i64)
        .fetch_all(db)
        .await?;
    rows.iter().map(queued).collect()
}

/// Counts a delivery of each of these before it happens, so that a message that kills the process is counted too.
pub(super) async fn count_deliveries(
    db: &mut SqliteConnection,
    delivered: impl Iterator<Item = i64>,
) -> Result<()> {
    let count = "
        UPDATE messages SET deliveries = deliveries + 1 WHERE id IN (SELECT value FROM json_each(?))";
    sqlx::query(count).bind(ids(delivered)).execute(db).await?;
    Ok(())
}

/// The message was handled.
pub(super) async fn remove(db: &mut SqliteConnection, id: i64) -> Result<()> {
    sqlx::query("DELETE FROM messages WHERE id = ?").bind(id).execute(db).await?;
    Ok(())
}

/// Makes the message the last of its queue's dead letters.
pub(super) async fn bury(db: &mut SqliteConnection, id: i64, reason: &str) -> Result<()> {
    to_the_end(db, id, Some(reason)).await
}

/// Makes the dead letter the last of its queue's messages, with its deliveries reset.
pub(super) async fn revive(db: &mut SqliteConnection, id: i64) -> Result<()> {
    to_the_end(db, id, None).await
}

async fn to_the_end(db: &mut SqliteConnection, id: i64, death: Option<&str>) -> Result<()> {
    let copy = "
        INSERT INTO messages (queue, death, message_id, kind, routing_key, app_id, happened_at, headers, payload)
        SELECT queue, ?2, message_id, kind, routing_key, app_id, happened_at, headers, payload
        FROM messages WHERE id = ?1";
    sqlx::query(copy).bind(id).bind(death).execute(&mut *db).await?;
    remove(db, id).await
}

/// The dead letters of `queue`, the oldest first, `limit` at most.
pub(super) async fn dead(
    db: &mut SqliteConnection,
    queue: &str,
    limit: usize,
) -> Result<Vec<(i64, DeadLetter)>> {
    let oldest = "SELECT * FROM messages WHERE queue = ? AND death IS NOT NULL ORDER BY id LIMIT ?";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = sqlx::query(oldest).bind(queue).bind(limit).fetch_all(db).await?;
    rows.iter().map(letter).collect()
}

/// The oldest dead letter of `queue` with this message id.
pub(super) async fn dead_letter(
    db: &mut SqliteConnection,
    queue: &str,
    id: Uuid,
) -> Result<Option<(i64, DeadLetter)>> {
    let oldest =
        "SELECT * FROM messages WHERE queue = ? AND death IS NOT NULL AND message_id = ? ORDER BY id LIMIT 1";
    let row = sqlx::query(oldest).bind(queue).bind(id).fetch_optional(db).await?;
    row.as_ref().map(letter).transpose()
}

fn letter(row: &SqliteRow) -> Result<(i64, DeadLetter)> {
    let Queued { id, message, .. } = queued(row)?;
    Ok((id, DeadLetter { message, reason: row.try_get("death")? }))
}

/// A set of ids as SQLite takes one.
fn ids(ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}

fn queued(row: &SqliteRow) -> Result<Queued> {
    let headers: BTreeMap<String, HeaderValue> =
        serde_json::from_str(row.try_get("headers")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Queued {
        id: row.try_get("id")?,
        deliveries: row.try_get("deliveries")?,
        message: Message {
            id: row.try_get("message_id")?,
            kind: row.try_get("kind")?,
            routing_key: row.try_get("routing_key")?,
            app_id: row.try_get("app_id")?,
            timestamp: DateTime::from_timestamp_micros(row.try_get("happened_at")?).unwrap_or_default(),
            headers,
            payload: Bytes::from(row.try_get::<Vec<u8>, _>("payload")?),
        },
    })
}
