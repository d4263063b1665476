//! What an operator does to an outbox: look at it, redrive what is dead, or discard it.
//!
//! All of it is safe beside a publisher at work, and may be repeated: a publisher marks pending rows only, and what is
//! here touches rows only that are still dead, each in the statement itself.

use std::{fmt, io, str::FromStr};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult, TransactionTrait as _, Value};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::{Stats, Store, store::COUNT_UP_TO};

/// As the index of the troubled rows has it: whoever asks for less reads the sent rows too, the many.
const DEAD: &str = "attempts > 0 AND status = 'dead'";

const SUMMARY: &str = "id, message_id, status, aggregate_type, aggregate_id, aggregate_version, event_type, \
     routing_key, attempts, available_at, created_at, sent_at, last_error";
const CONTENT: &str = "CAST(payload AS text) AS payload, CAST(headers AS text) AS headers";

/// Wakes the publisher when the statement commits; no notification is sent twice.
const WAKING: &str = ", CAST(pg_notify('outbox.' || current_schema(), '') AS text) AS woken";

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowStatus {
    /// Waits to be published.
    Pending,
    /// Was given up, and holds back its aggregate.
    Dead,
    /// Was confirmed by the broker, and is kept for its retention.
    Sent,
}

impl RowStatus {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
            Self::Sent => "sent",
        }
    }

    fn condition(self) -> &'static str {
        match self {
            Self::Pending => "status = 'pending'",
            Self::Dead => DEAD,
            Self::Sent => "status = 'sent'",
        }
    }

    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let text: String = row.try_get("", "status")?;
        [Self::Pending, Self::Dead, Self::Sent]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| DbErr::Type(format!("a row is {text}")))
    }
}

impl fmt::Display for RowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Names a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// By its own number.
    Id(i64),
    /// By the `message_id` that consumers and logs know it by.
    Message(Uuid),
}

/// The text is no [`RowKey`].
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
    /// Rows that stand there.
    pub status: RowStatus,
    /// Rows of one aggregate: its type and its id.
    pub aggregate: Option<(String, String)>,
    /// Rows with a higher id than this: the last one of the page before.
    pub after: i64,
    /// How many at most, 1 to [`RowFilter::MAX_LIMIT`]; what is outside is brought inside.
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
    /// Its number, in the order of appending.
    pub id: i64,
    /// By which consumers know a duplicate.
    pub message_id: Uuid,
    /// Where it stands.
    pub status: RowStatus,
    /// The kind of thing that changed.
    pub aggregate_type: String,
    /// Which one.
    pub aggregate_id: String,
    /// The aggregate's version after the change.
    pub aggregate_version: i64,
    /// What happened.
    pub event_type: String,
    /// Where it goes.
    pub routing_key: String,
    /// How often the broker has refused it.
    pub attempts: i32,
    /// Not tried before then, if it is pending.
    pub available_at: Option<DateTime<Utc>>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// When it was marked as confirmed.
    pub sent_at: Option<DateTime<Utc>>,
    /// Why the last try failed. Kept until it is sent, through a redrive too.
    pub last_error: Option<String>,
}

/// A row with everything it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FullRow {
    /// All but the content.
    #[serde(flatten)]
    pub summary: RowSummary,
    /// The writer's headers and its trace context, as JSON.
    #[serde(serialize_with = "as_json")]
    pub headers: String,
    /// The body, as JSON.
    #[serde(serialize_with = "as_json")]
    pub payload: String,
}

/// What an operator wants to know first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// What waits and what is dead.
    #[serde(flatten)]
    pub stats: Stats,
    /// Rows that were sent and are kept, 100,000 at most.
    pub sent: i64,
    /// The last publisher to have had the lease; `None` when none ever had.
    pub leader: Option<Leader>,
}

/// A publisher that has, or had, the lease.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leader {
    /// The lease's fencing epoch.
    pub epoch: i64,
    /// The publisher.
    pub holder: String,
    /// When the lease ends or has ended.
    pub lease_expires_at: DateTime<Utc>,
    /// Whether the lease still lasts, by the database's clock.
    pub leading: bool,
}

/// Why nothing was discarded.
#[derive(Debug, Error)]
pub enum DiscardError {
    /// The database refused, or is away.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The rows could not be recorded, so they were kept.
    #[error("the rows were kept, because they could not be recorded: {0}")]
    NotRecorded(io::Error),
}

impl Store {
    /// A page of rows, by id.
    ///
    /// Pending and dead rows are found by their indexes; for sent rows of one aggregate all sent rows are read.
    ///
    /// # Errors
    /// The database is away.
    pub async fn list(&self, filter: &RowFilter) -> Result<Vec<RowSummary>, DbErr> {
        let list = format!(
            "SELECT {SUMMARY} FROM outbox_messages
             WHERE {} AND id > $1
               AND (CAST($2 AS text) IS NULL OR (aggregate_type = $2 AND aggregate_id = $3))
             ORDER BY id LIMIT $4",
            filter.status.condition()
        );
        let (kind, id) = filter.aggregate.clone().unzip();
        let limit = i64::from(filter.limit.clamp(1, RowFilter::MAX_LIMIT));
        let values = [filter.after.into(), kind.into(), id.into(), limit.into()];
        let rows = self.database().query_all_raw(self.statement(&list, &list, values)).await?;
        rows.iter().map(RowSummary::read).collect()
    }

    /// One row, whole, whatever its status. By its `message_id`, for which there is no index, all rows are read.
    ///
    /// # Errors
    /// The database is away.
    pub async fn find(&self, key: RowKey) -> Result<Option<FullRow>, DbErr> {
        let (column, value): (_, Value) = match key {
            RowKey::Id(id) => ("id", id.into()),
            RowKey::Message(id) => ("message_id", id.into()),
        };
        let find = format!("SELECT {SUMMARY}, {CONTENT} FROM outbox_messages WHERE {column} = $1 LIMIT 1");
        let row = self.database().query_one_raw(self.statement(&find, &find, [value])).await?;
        row.as_ref().map(FullRow::read).transpose()
    }

    /// Makes dead rows pending again, with their tries forgotten, and wakes the publisher. Answers those that were
    /// dead, by id; of any other row nothing is touched.
    ///
    /// # Errors
    /// The database is away; nothing was done.
    pub async fn redrive(&self, keys: &[RowKey]) -> Result<Vec<RowSummary>, DbErr> {
        self.redrive_which(self.named(), self.names(keys)).await
    }

    /// Like [`Store::redrive`], for the first `limit` dead rows with a higher id than `after`: the last one of the
    /// answer before, so that a row which dies again meanwhile is not redriven for ever.
    ///
    /// # Errors
    /// The database is away; nothing was done.
    pub async fn redrive_next(&self, after: i64, limit: u32) -> Result<Vec<RowSummary>, DbErr> {
        let values = vec![after.into(), i64::from(limit.clamp(1, RowFilter::MAX_LIMIT)).into()];
        self.redrive_which("id > $1 ORDER BY id LIMIT $2", values).await
    }

    async fn redrive_which(&self, which: &str, values: Vec<Value>) -> Result<Vec<RowSummary>, DbErr> {
        let redrive = format!(
            "UPDATE outbox_messages SET status = 'pending', attempts = 0, available_at = NULL
             WHERE {} RETURNING {SUMMARY}{}",
            self.still_dead(which),
            self.waking()
        );
        let rows = self.database().query_all_raw(self.statement(&redrive, &redrive, values)).await?;
        let mut rows: Vec<RowSummary> = rows.iter().map(RowSummary::read).collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }

    /// Removes dead rows for good, and wakes the publisher for what they held back. Answers those that were dead, by
    /// id; of any other row nothing is touched.
    ///
    /// The rows are gone only once `record` has taken them, so that nothing is lost without a trace. A transaction
    /// is open meanwhile.
    ///
    /// # Errors
    /// The database is away, or `record` fails; nothing was removed, unless only the answer to the commit was lost.
    pub async fn discard(
        &self,
        keys: &[RowKey],
        record: impl FnOnce(&[FullRow]) -> io::Result<()>,
    ) -> Result<Vec<FullRow>, DiscardError> {
        let discard = format!(
            "DELETE FROM outbox_messages WHERE {} RETURNING {SUMMARY}, {CONTENT}{}",
            self.still_dead(self.named()),
            self.waking()
        );
        let transaction = self.database().begin().await?;
        let rows = transaction.query_all_raw(self.statement(&discard, &discard, self.names(keys))).await?;
        let mut rows: Vec<FullRow> = rows.iter().map(FullRow::read).collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.summary.id);
        record(&rows).map_err(DiscardError::NotRecorded)?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// What waits, what is dead, what is kept, and who publishes.
    ///
    /// # Errors
    /// The database is away.
    pub async fn overview(&self) -> Result<Overview, DbErr> {
        let sent = "SELECT count(*) AS sent FROM (
                        SELECT 1 FROM outbox_messages WHERE status = 'sent' LIMIT $1) AS s";
        let sent = self.database().query_one_raw(self.statement(sent, sent, [COUNT_UP_TO.into()])).await?;
        let sent = sent.ok_or_else(|| DbErr::RecordNotFound("statistics".to_owned()))?;
        Ok(Overview {
            stats: self.stats().await?,
            sent: sent.try_get("", "sent")?,
            leader: self.leader().await?,
        })
    }

    /// Whoever has, or had, the lease.
    pub(crate) async fn leader(&self) -> Result<Option<Leader>, DbErr> {
        let statement = self.statement(
            "SELECT epoch, holder, lease_expires_at, lease_expires_at > clock_timestamp() AS leading
             FROM outbox_publishers WHERE name = $1",
            "SELECT epoch, holder, lease_expires_at,
                    lease_expires_at > strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') AS leading
             FROM outbox_publishers WHERE name = $1",
            [self.publisher.as_str().into()],
        );
        let Some(row) = self.database().query_one_raw(statement).await? else { return Ok(None) };
        Ok(Some(Leader {
            epoch: row.try_get("", "epoch")?,
            holder: row.try_get("", "holder")?,
            lease_expires_at: row.try_get("", "lease_expires_at")?,
            leading: row.try_get("", "leading")?,
        }))
    }

    /// The condition of those dead rows that `which` selects. PostgreSQL locks them in the order of their ids, so two
    /// operators at once wait for each other, and the second finds nothing dead.
    fn still_dead(&self, which: &str) -> String {
        let ids = format!("SELECT id FROM outbox_messages WHERE {DEAD} AND {which}");
        let ids = if self.is_postgres() { format!("ANY (ARRAY({ids} FOR UPDATE))") } else { ids };
        let is = if self.is_postgres() { format!("= {ids}") } else { format!("IN ({ids})") };
        format!("status = 'dead' AND id {is}")
    }

    /// Selects the rows that [`Store::names`] names.
    fn named(&self) -> &'static str {
        if self.is_postgres() {
            "(id = ANY ($1) OR message_id = ANY ($2)) ORDER BY id"
        } else {
            "(id IN (SELECT value FROM json_each($1)) OR hex(message_id) IN (SELECT value FROM json_each($2)))"
        }
    }

    fn names(&self, keys: &[RowKey]) -> Vec<Value> {
        let (mut ids, mut messages) = (Vec::new(), Vec::new());
        for key in keys {
            match key {
                RowKey::Id(id) => ids.push(*id),
                RowKey::Message(id) => messages.push(*id),
            }
        }
        let messages = if self.is_postgres() {
            messages.into()
        } else {
            let hex: Vec<String> = messages.iter().map(|id| format!("{:X}", id.simple())).collect();
            serde_json::json!(hex).to_string().into()
        };
        vec![self.ids(&ids), messages]
    }

    fn waking(&self) -> &'static str {
        if self.is_postgres() { WAKING } else { "" }
    }
}

impl RowSummary {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get("", "id")?,
            message_id: row.try_get("", "message_id")?,
            status: RowStatus::read(row)?,
            aggregate_type: row.try_get("", "aggregate_type")?,
            aggregate_id: row.try_get("", "aggregate_id")?,
            aggregate_version: row.try_get("", "aggregate_version")?,
            event_type: row.try_get("", "event_type")?,
            routing_key: row.try_get("", "routing_key")?,
            attempts: row.try_get("", "attempts")?,
            available_at: row.try_get("", "available_at")?,
            created_at: row.try_get("", "created_at")?,
            sent_at: row.try_get("", "sent_at")?,
            last_error: row.try_get("", "last_error")?,
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
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            summary: RowSummary::read(row)?,
            headers: row.try_get("", "headers")?,
            payload: row.try_get("", "payload")?,
        })
    }
}

/// JSON text as a part of more JSON, number by number as it was written, on one line: a line break in JSON text is
/// always between two tokens. What is no JSON after all becomes a text.
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
