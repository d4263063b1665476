//! Writing an event.

use super::Sql;

/// What comes before the parameters of a statement that appends what another part of it returns, on PostgreSQL.
#[cfg(feature = "sea-orm")]
pub(crate) const APPEND_SELECTED: &str = "
INSERT INTO outbox_messages (
    message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, payload, headers, created_at)
SELECT ";

/// `$1` to `$9`: the columns in this order.
pub(crate) const APPEND: Sql = Sql {
    postgres: "
INSERT INTO outbox_messages (
    message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, payload, headers, created_at)
VALUES ($1, $2, $3, $4, $5, $6, CAST($7 AS json), CAST($8 AS json), $9)",
    // A CHECK of the table sees that it is JSON.
    sqlite: "
INSERT INTO outbox_messages (
    message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, payload, headers, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
};
