//! Writing an event into the outbox, in the transaction of the change that it announces.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_messaging::HeaderValue;
use uuid::Uuid;

#[cfg(feature = "sea-orm")]
use crate::sql::append::APPEND_SELECTED;
use crate::{SqlxConnection, sql::append::APPEND, store::Statement, trace};

/// An event to be published once the transaction that appends it has committed.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The id by which consumers recognise duplicates; a UUIDv7 is a good choice.
    pub id: Uuid,
    /// The kind of thing that changed, such as `order`.
    pub aggregate_type: String,
    /// The aggregate's id. Messages with the same type and id are published in the order in which they were appended.
    pub aggregate_id: String,
    /// The aggregate's version after the change, for consumers that care about order.
    pub aggregate_version: i64,
    /// What happened, such as `order_created`. At most 255 bytes.
    pub event_type: String,
    /// The routing key, such as `order.created`. At most 255 bytes.
    pub routing_key: String,
    /// The body, as JSON text: it reaches the broker byte for byte.
    pub payload: String,
    /// Headers in addition to the outbox's own (`aggregate_type`, `aggregate_id`, `aggregate_version`, `traceparent` and
    /// `tracestate`, which take precedence). At most 32 KiB, including the outbox's own; names have at most 255 bytes.
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

/// Appends `message` in the transaction of `connection`, together with the current span's trace context.
///
/// Hold the aggregate's row lock before the call: ids are given out here, and only the lock makes the order of ids the order
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
        outbox.aggregate_id = message.aggregate_id,
    )
)]
#[cfg(feature = "sea-orm")]
pub async fn append(
    connection: &impl sea_orm::ConnectionTrait,
    message: &NewMessage,
) -> Result<(), sea_orm::DbErr> {
    let headers = trace::headers(&message.headers);
    let insert = insert(message, &headers).for_sea_orm(connection.get_database_backend());
    connection.execute_raw(insert).await?;
    Ok(())
}

/// A change that consists of common table expressions, for [`append_with`].
#[cfg(feature = "sea-orm")]
#[derive(Clone, Debug)]
pub struct With {
    /// The expressions, such as `WITH placed AS (INSERT INTO orders (id) VALUES ($1) RETURNING id)`. A constant: it is prepared once.
    pub sql: &'static str,
    /// The values of `$1` and so on in [`sql`](Self::sql).
    pub values: Vec<sea_orm::Value>,
    /// The expression that returns one row if the change was made, and none if it was not, such as `placed`.
    pub made: &'static str,
}

/// Makes a change and appends its `message` in one statement on PostgreSQL, which is a transaction of its own: one round trip instead of
/// five. Returns whether the change was made; if not, nothing is appended either.
///
/// An expression that locks the aggregate's row, as UPDATE does, keeps its events in order, because the message's id is given out after that.
///
/// # Errors
/// The database refuses the statement, and nothing of it is stored; or the connection broke just now, and it is unknown whether it was.
#[tracing::instrument(
    name = "outbox append",
    skip_all,
    fields(
        otel.name = format!("append {}", message.routing_key),
        messaging.message.id = %message.id,
        event_type = message.event_type,
        outbox.aggregate_id = message.aggregate_id,
    )
)]
#[cfg(feature = "sea-orm")]
pub async fn append_with(
    connection: &impl sea_orm::ConnectionTrait,
    with: With,
    message: &NewMessage,
) -> Result<bool, sea_orm::DbErr> {
    let With { sql, mut values, made } = with;
    let headers = trace::headers(&message.headers);
    let first = values.len() + 1;
    values.extend(insert(message, &headers).values_for_sea_orm(sea_orm::DbBackend::Postgres));
    let sql = format!("{sql}{}", selected(first, made));
    let statement = sea_orm::Statement::from_sql_and_values(sea_orm::DbBackend::Postgres, sql, values);
    Ok(connection.execute_raw(statement).await?.rows_affected() > 0)
}

/// The insert of a message whose parameters begin with `$first`, once for each row of `made`.
#[cfg(feature = "sea-orm")]
fn selected(first: usize, made: &str) -> String {
    let parameter = |place| match place {
        6 | 7 => format!("CAST(${} AS json)", first + place),
        _ => format!("${}", first + place),
    };
    let parameters: Vec<String> = (0..9).map(parameter).collect();
    format!("{APPEND_SELECTED}{} FROM {made}", parameters.join(", "))
}

/// `append` for services that use sqlx alone: `connection` is the transaction, `&mut *transaction`.
///
/// Hold the aggregate's row lock before the call: ids are given out here, and only the lock makes the order of ids the order
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
        outbox.aggregate_id = message.aggregate_id,
    )
)]
pub async fn append_sqlx<'c>(
    connection: impl Into<SqlxConnection<'c>>,
    message: &NewMessage,
) -> Result<(), sqlx::Error> {
    let (mut connection, headers): (SqlxConnection<'c>, _) =
        (connection.into(), trace::headers(&message.headers));
    connection.execute(&insert(message, &headers)).await?;
    Ok(())
}

fn insert<'v>(message: &'v NewMessage, headers: &'v str) -> Statement<'v> {
    let values = [
        message.id.into(),
        message.aggregate_type.as_str().into(),
        message.aggregate_id.as_str().into(),
        message.aggregate_version.into(),
        message.event_type.as_str().into(),
        message.routing_key.as_str().into(),
        message.payload.as_str().into(),
        headers.into(),
        message.created_at.into(),
    ];
    Statement::new(APPEND, values)
}
