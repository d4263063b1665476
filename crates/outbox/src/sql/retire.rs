//! Deleting old sent rows.

use super::Sql;

/// Of the `$2` oldest sent rows from id `$3` on, deletes those that were sent more than `$1` ago.
pub(crate) const RETIRE: Sql = Sql {
    postgres: "
DELETE FROM outbox_messages WHERE id IN (
    -- Only the lowest ids are looked at. Ids rise with time, so there is no need of an index on sent_at, which every mark
    -- would have to pay for.
    SELECT id FROM (
        SELECT id, sent_at FROM outbox_messages
        WHERE status = 'sent' AND id >= $3 ORDER BY id LIMIT $2) AS oldest
    WHERE sent_at < clock_timestamp() - make_interval(secs => $1))
RETURNING id",
    sqlite: "
DELETE FROM outbox_messages WHERE id IN (
    SELECT id FROM (
        SELECT id, sent_at FROM outbox_messages
        WHERE status = 'sent' AND id >= $3 ORDER BY id LIMIT $2) AS oldest
    WHERE sent_at < strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-' || $1 || ' seconds'))
RETURNING id",
};
