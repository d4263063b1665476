//! Statements for operators: lists, single rows, redrive and discard.

use super::Sql;

/// The condition for dead rows, as in the index of the troubled rows: without `attempts`, sent rows would be read too, and most rows are sent.
macro_rules! dead {
    () => {
        "attempts > 0 AND status = 'dead'"
    };
}

/// The columns of a [`RowSummary`](crate::RowSummary).
macro_rules! summary {
    () => {
        "id, message_id, status, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key, attempts, \
         available_at, created_at, sent_at, last_error"
    };
}

/// The additional columns of a [`FullRow`](crate::FullRow).
macro_rules! content {
    () => {
        "CAST(payload AS text) AS payload, CAST(headers AS text) AS headers"
    };
}

/// A page of rows with this condition: at most `$4` rows with a higher id than `$1`, of the aggregate `$2`, `$3` if given.
macro_rules! list {
    ($condition:expr) => {
        Sql::same(concat!(
            "SELECT ",
            summary!(),
            " FROM outbox_messages WHERE ",
            $condition,
            "
  AND id > $1
  AND (CAST($2 AS text) IS NULL OR (aggregate_type = $2 AND aggregate_id = $3))
ORDER BY id LIMIT $4"
        ))
    };
}

pub(crate) const LIST_PENDING: Sql = list!("status = 'pending'");
pub(crate) const LIST_DEAD: Sql = list!(dead!());
pub(crate) const LIST_SENT: Sql = list!("status = 'sent'");

/// The row with `$1` in this column.
macro_rules! find {
    ($column:literal) => {
        Sql::same(concat!(
            "SELECT ",
            summary!(),
            ", ",
            content!(),
            " FROM outbox_messages WHERE ",
            $column,
            " = $1 LIMIT 1"
        ))
    };
}

pub(crate) const FIND_BY_ID: Sql = find!("id");
pub(crate) const FIND_BY_MESSAGE: Sql = find!("message_id");

/// Applies `$change`, a statement up to its WHERE that returns columns, to the selected dead rows.
///
/// PostgreSQL locks them in the order of their ids, so two operators at once wait for each other, and the second finds no
/// dead rows. It also wakes the publisher when the statement commits; no notification is sent twice.
macro_rules! to_the_dead {
    ($change:literal, postgres: $postgres:literal, sqlite: $sqlite:literal, $($column:expr),+) => {
        Sql {
            postgres: concat!(
                $change,
                "
WHERE status = 'dead' AND id = ANY (ARRAY(
    SELECT id FROM outbox_messages WHERE ", dead!(), " AND ", $postgres, " FOR UPDATE))
RETURNING ", $($column,)+ ", CAST(pg_notify('outbox.' || current_schema(), '') AS text) AS woken"
            ),
            sqlite: concat!(
                $change,
                "
WHERE status = 'dead' AND id IN (
    SELECT id FROM outbox_messages WHERE ", dead!(), " AND ", $sqlite, ")
RETURNING ", $($column),+
            ),
        }
    };
}

/// Makes the rows with the ids `$1` or the message ids `$2` pending again, with their attempts reset.
pub(crate) const REDRIVE: Sql = to_the_dead!(
    "UPDATE outbox_messages SET status = 'pending', attempts = 0, available_at = NULL",
    postgres: "(id = ANY ($1) OR message_id = ANY ($2)) ORDER BY id",
    sqlite: "(id IN (SELECT value FROM json_each($1)) OR hex(message_id) IN (SELECT value FROM json_each($2)))",
    summary!()
);

/// The same for the first `$2` dead rows with a higher id than `$1`.
pub(crate) const REDRIVE_NEXT: Sql = to_the_dead!(
    "UPDATE outbox_messages SET status = 'pending', attempts = 0, available_at = NULL",
    postgres: "id > $1 ORDER BY id LIMIT $2",
    sqlite: "id > $1 ORDER BY id LIMIT $2",
    summary!()
);

/// Deletes the dead rows with the ids `$1` or the message ids `$2`.
pub(crate) const DISCARD: Sql = to_the_dead!(
    "DELETE FROM outbox_messages",
    postgres: "(id = ANY ($1) OR message_id = ANY ($2)) ORDER BY id",
    sqlite: "(id IN (SELECT value FROM json_each($1)) OR hex(message_id) IN (SELECT value FROM json_each($2)))",
    summary!(), ", ", content!()
);
