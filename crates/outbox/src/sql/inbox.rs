//! A consumer's inbox.

use super::Sql;

/// Records the message `$2` for the consumer `$1`; writes no row if it is already recorded.
pub(crate) const RECEIVE: Sql =
    Sql::same("INSERT INTO inbox_messages (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING");

/// Returns a row if the message `$2` is recorded for the consumer `$1`.
pub(crate) const HOLDS: Sql =
    Sql::same("SELECT 1 AS held FROM inbox_messages WHERE consumer = $1 AND message_id = $2");

/// Deletes at most `$2` messages, oldest first, that were received more than `$1` ago.
pub(crate) const FORGET: Sql = Sql {
    postgres: "
DELETE FROM inbox_messages WHERE (consumer, message_id) IN (
    SELECT consumer, message_id FROM inbox_messages
    WHERE received_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY received_at LIMIT $2)",
    sqlite: "
DELETE FROM inbox_messages WHERE (consumer, message_id) IN (
    SELECT consumer, message_id FROM inbox_messages
    WHERE received_at < strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-' || $1 || ' seconds')
    ORDER BY received_at LIMIT $2)",
};
