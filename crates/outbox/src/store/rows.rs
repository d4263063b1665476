//! Rows, as operators see them.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use super::{StoreError, connection::Record};

/// A row's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowStatus {
    /// Waiting to be published.
    Pending,
    /// Given up; it holds back its aggregate.
    Dead,
    /// Confirmed by the broker, and kept for its retention.
    Sent,
}

impl RowStatus {
    /// The database's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
            Self::Sent => "sent",
        }
    }

    fn read(row: &Record) -> Result<Self, StoreError> {
        let text: String = row.get("status")?;
        [Self::Pending, Self::Dead, Self::Sent]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| StoreError::malformed(format!("a row is {text}")))
    }
}

impl fmt::Display for RowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Identifies a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// By its id.
    Id(i64),
    /// By the `message_id` that consumers and logs use.
    Message(Uuid),
}

/// The text is not a [`RowKey`].
#[derive(Debug, Error)]
#[error("a row is named by its id, a number, or by its message_id, a UUID")]
pub struct InvalidRowKey;

impl FromStr for RowKey {
    type Err = InvalidRowKey;

    fn from_str(text: &str) -> Result<Self, InvalidRowKey> {
        let id = text.parse().map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Message)).map_err(|_| InvalidRowKey)
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Message(id) => id.fmt(f),
        }
    }
}

/// Which rows to list.
#[derive(Clone, Debug)]
pub struct RowFilter {
    /// The status of the rows.
    pub status: RowStatus,
    /// The rows of one aggregate: its type and its id.
    pub aggregate: Option<(String, String)>,
    /// Rows with a higher id than this one, which is the last one of the previous page.
    pub after: i64,
    /// The maximum number of rows, 1 to [`RowFilter::MAX_LIMIT`]; other values are clamped.
    pub limit: u32,
}

impl RowFilter {
    /// The longest page.
    pub const MAX_LIMIT: u32 = 1_000;
}

impl Default for RowFilter {
    /// The first hundred dead rows.
    fn default() -> Self {
        Self { status: RowStatus::Dead, aggregate: None, after: 0, limit: 100 }
    }
}

/// A row without its content.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowSummary {
    /// Its id, which rises in the order of appending.
    pub id: i64,
    /// The id by which consumers recognise duplicates.
    pub message_id: Uuid,
    /// Its status.
    pub status: RowStatus,
    /// The kind of thing that changed.
    pub aggregate_type: String,
    /// The aggregate's id.
    pub aggregate_id: String,
    /// The aggregate's version after the change.
    pub aggregate_version: i64,
    /// What happened.
    pub event_type: String,
    /// The routing key.
    pub routing_key: String,
    /// How often the broker has refused it.
    pub attempts: i32,
    /// If it is pending, it is not tried before then.
    pub available_at: Option<DateTime<Utc>>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When it was marked as confirmed.
    pub sent_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed. Kept until it is sent, even through a redrive.
    pub last_error: Option<String>,
}

/// A complete row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FullRow {
    /// Everything except the content.
    #[serde(flatten)]
    pub summary: RowSummary,
    /// The writer's headers and its trace context, as JSON.
    #[serde(serialize_with = "as_json")]
    pub headers: String,
    /// The body, as JSON.
    #[serde(serialize_with = "as_json")]
    pub payload: String,
}

impl RowSummary {
    pub(super) fn read(row: &Record) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            message_id: row.get("message_id")?,
            status: RowStatus::read(row)?,
            aggregate_type: row.get("aggregate_type")?,
            aggregate_id: row.get("aggregate_id")?,
            aggregate_version: row.get("aggregate_version")?,
            event_type: row.get("event_type")?,
            routing_key: row.get("routing_key")?,
            attempts: row.get("attempts")?,
            available_at: row.get("available_at")?,
            created_at: row.get("created_at")?,
            sent_at: row.get("sent_at")?,
            last_error: row.get("last_error")?,
        })
    }

    /// Whether `key` names this row.
    pub fn is(&self, key: RowKey) -> bool {
        match key {
            RowKey::Id(id) => self.id == id,
            RowKey::Message(id) => self.message_id == id,
        }
    }
}

impl FullRow {
    pub(super) fn read(row: &Record) -> Result<Self, StoreError> {
        Ok(Self {
            summary: RowSummary::read(row)?,
            headers: row.get("headers")?,
            payload: row.get("payload")?,
        })
    }
}

/// Embeds JSON text in other JSON, with numbers unchanged, on one line: a line break in JSON text is
/// always between two tokens. Text that is not JSON becomes a string.
fn as_json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match RawValue::from_string(text.replace(['\n', '\r'], " ")) {
        Ok(json) => json.serialize(serializer),
        Err(_) => serializer.serialize_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_id_or_by_its_message_id() {
        assert_eq!("42".parse::<RowKey>().unwrap(), RowKey::Id(42));
        let message = "0198c0de-0000-7000-8000-000000000001";
        assert_eq!(message.parse::<RowKey>().unwrap().to_string(), message);
        assert_eq!(
            "order 42".parse::<RowKey>().unwrap_err().to_string(),
            "a row is named by its id, a number, or by its message_id, a UUID"
        );
    }

    #[test]
    fn content_is_written_as_it_is_on_one_line() {
        #[derive(Serialize)]
        struct Content(#[serde(serialize_with = "as_json")] &'static str);
        let json = |text| serde_json::to_string(&Content(text)).unwrap();
        assert_eq!(json("{\n\"amount\": 2500.00\n}"), r#"{ "amount": 2500.00 }"#);
        assert_eq!(json("no json"), r#""no json""#);
    }
}
