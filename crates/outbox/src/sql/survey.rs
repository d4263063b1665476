//! The outbox's numbers.

use super::Sql;

/// PostgreSQL: the transactions that may have written rows that nobody can see yet.
pub(crate) const WRITERS: &str = "
-- An INSERT locks the table before it takes an id, and the lock ends after its rows can be seen.
SELECT virtualtransaction AS writer FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation = 'outbox_messages'::regclass";

/// The lowest id of the rows that may still be sent, and the highest id of all rows.
pub(crate) const UNSETTLED: Sql = Sql {
    postgres: "
SELECT (SELECT min(id) FROM outbox_messages WHERE status = 'pending') AS pending,
       -- OFFSET 0: or else the lowest dead id is looked for among all ids, from the lowest on, and most of them are sent.
       (SELECT min(id) FROM (
           SELECT id FROM outbox_messages WHERE attempts > 0 AND status <> 'sent' AND status = 'dead'
           OFFSET 0) AS d) AS dead,
       coalesce((SELECT max(id) FROM outbox_messages), 0) AS newest",
    sqlite: "
SELECT (SELECT min(id) FROM outbox_messages WHERE status = 'pending') AS pending,
       (SELECT min(id) FROM outbox_messages WHERE attempts > 0 AND status = 'dead') AS dead,
       coalesce((SELECT max(id) FROM outbox_messages), 0) AS newest",
};

/// How many rows are pending (at most `$1`) and dead, and the age of the oldest pending one, in seconds.
pub(crate) const STATS: Sql = Sql {
    postgres: "
SELECT (SELECT count(*) FROM (
           SELECT FROM outbox_messages WHERE status = 'pending' LIMIT $1) AS p) AS pending,
       (SELECT count(*) FROM outbox_messages WHERE attempts > 0 AND status = 'dead') AS dead,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
           FROM outbox_messages WHERE status = 'pending' ORDER BY id LIMIT 1), 0) AS oldest",
    sqlite: "
SELECT (SELECT count(*) FROM (
           SELECT 1 FROM outbox_messages WHERE status = 'pending' LIMIT $1) AS p) AS pending,
       (SELECT count(*) FROM outbox_messages WHERE attempts > 0 AND status = 'dead') AS dead,
       coalesce((SELECT (julianday('now') - julianday(created_at)) * 86400.0
           FROM outbox_messages WHERE status = 'pending' ORDER BY id LIMIT 1), 0.0) AS oldest",
};

/// How many sent rows are kept, at most `$1`.
pub(crate) const SENT: Sql = Sql::same(
    "SELECT count(*) AS sent FROM (SELECT 1 FROM outbox_messages WHERE status = 'sent' LIMIT $1) AS s",
);
