//! Writing an event into the outbox, in the transaction of the change that it announces.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Serialize;
use shop_messaging::HeaderValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::trace;

/// An event to be published once the transaction that appends it has committed.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// By which consumers know a duplicate; a UUIDv7 is a good choice.
    pub id: Uuid,
    /// The kind of thing that changed, such as `order`.
    pub aggregate_type: String,
    /// Which one. Messages with the same type and id are published in the order in which they were appended.
    pub aggregate_id: String,
    /// The aggregate's version after the change, for consumers that care about order.
    pub aggregate_version: i64,
    /// What happened, such as `order_created`. At most 255 bytes.
    pub event_type: String,
    /// Where it goes, such as `order.created`. At most 255 bytes.
    pub routing_key: String,
    /// The body, as JSON text: it reaches the broker byte for byte.
    pub payload: String,
    /// Headers beside the outbox's own (`aggregate_type`, `aggregate_id`, `aggregate_version`, `traceparent` and
    /// `tracestate`, which win). 32 KiB at most, with the outbox's own; a name has 255 bytes at most.
    pub headers: BTreeMap<String, HeaderValue>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

impl NewMessage {
    /// Serialises `payload` as the body.
    ///
    /// # Errors
    /// The payload cannot be written as JSON.
    pub fn with_payload(mut self, payload: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.payload = serde_json::to_string(payload)?;
        Ok(self)
    }
}

/// Appends `message` in the transaction that `connection` is, together with the current span's trace context.
///
/// Hold the aggregate's row lock before: ids are given out here, and only the lock makes the order of ids the order
/// of commits. Nothing is published unless the transaction commits.
///
/// # Errors
/// The database refuses the row or is away; the transaction should be rolled back.
#[tracing::instrument(
    name = "outbox append",
    skip_all,
    fields(
        otel.name = format!("append {}", message.routing_key),
        messaging.message.id = %message.id,
        event_type = message.event_type,
    )
)]
pub async fn append(connection: &impl ConnectionTrait, message: &NewMessage) -> Result<(), DbErr> {
    let backend = connection.get_database_backend();
    let values = [
        message.id.into(),
        message.aggregate_type.as_str().into(),
        message.aggregate_id.as_str().into(),
        message.aggregate_version.into(),
        message.event_type.as_str().into(),
        message.routing_key.as_str().into(),
        message.payload.as_str().into(),
        trace::headers(&message.headers).into(),
        message.created_at.into(),
    ];
    let insert = if backend == DbBackend::Postgres { INSERT } else { INSERT_SQLITE };
    connection.execute_raw(Statement::from_sql_and_values(backend, insert, values)).await?;
    Ok(())
}

/// [`append`] for services that use sqlx alone: `connection` is the transaction, `&mut *transaction`.
///
/// # Errors
/// The database refuses the row or is away; the transaction should be rolled back.
#[tracing::instrument(
    name = "outbox append",
    skip_all,
    fields(
        otel.name = format!("append {}", message.routing_key),
        messaging.message.id = %message.id,
        event_type = message.event_type,
    )
)]
pub async fn append_sqlx(connection: &mut PgConnection, message: &NewMessage) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(message.id)
        .bind(&message.aggregate_type)
        .bind(&message.aggregate_id)
        .bind(message.aggregate_version)
        .bind(&message.event_type)
        .bind(&message.routing_key)
        .bind(&message.payload)
        .bind(trace::headers(&message.headers))
        .bind(message.created_at)
        .execute(connection)
        .await?;
    Ok(())
}

const INSERT: &str = "INSERT INTO outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, \
     event_type, routing_key, payload, headers, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, CAST($7 AS json), CAST($8 AS json), $9)";
const INSERT_SQLITE: &str = "INSERT INTO outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, \
     event_type, routing_key, payload, headers, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
