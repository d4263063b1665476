//! Marking rows according to the broker's answers, each time with the fence in the same statement: `$1` is the publisher's name and `$2` its
//! epoch, and nothing is marked under another one.
//!
//! PostgreSQL returns as `fence` whether the epoch still holds. On SQLite that is a separate query ([`FENCE`]).

use super::Sql;

/// Marks the rows `$3` as sent.
pub(crate) const MARK_SENT: Sql = Sql {
    postgres: "
-- FOR SHARE: whoever takes over waits for this mark, or this mark sees the new epoch.
WITH fence AS (SELECT FROM outbox_publishers WHERE name = $1 AND epoch = $2 FOR SHARE),
     marked AS (
       UPDATE outbox_messages SET status = 'sent', sent_at = clock_timestamp(), last_error = NULL
       WHERE id = ANY ($3) AND status = 'pending' AND EXISTS (SELECT FROM fence)
       RETURNING 1)
SELECT (SELECT count(*) FROM fence) AS fence, (SELECT count(*) FROM marked) AS marked",
    sqlite: "
UPDATE outbox_messages
SET status = 'sent', sent_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), last_error = NULL
WHERE id IN (SELECT value FROM json_each($3)) AND status = 'pending'
  AND EXISTS (SELECT 1 FROM outbox_publishers WHERE name = $1 AND epoch = $2)",
};

/// Marks rows that the broker did not accept. `$3`: a JSON array of `id`, `error`, and `pause`: the seconds until the next attempt, or
/// a negative number if the row is given up.
pub(crate) const MARK_FAILED: Sql = Sql {
    postgres: "
WITH fence AS (SELECT FROM outbox_publishers WHERE name = $1 AND epoch = $2 FOR SHARE),
     marked AS (
       UPDATE outbox_messages AS m
       SET attempts = attempts + 1, last_error = f.error,
           status = CASE WHEN f.pause < 0 THEN 'dead' ELSE 'pending' END,
           available_at = clock_timestamp() + make_interval(secs => greatest(f.pause, 0))
       FROM json_to_recordset(CAST($3::text AS json)) AS f (id bigint, error text, pause float8)
       WHERE m.id = f.id AND m.status = 'pending' AND EXISTS (SELECT FROM fence)
       RETURNING 1)
SELECT (SELECT count(*) FROM fence) AS fence, (SELECT count(*) FROM marked) AS marked",
    sqlite: "
UPDATE outbox_messages
SET attempts = attempts + 1, last_error = f.error,
    status = CASE WHEN f.pause < 0 THEN 'dead' ELSE 'pending' END,
    available_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', max(f.pause, 0) || ' seconds')
FROM (SELECT value ->> 'id' AS id, value ->> 'error' AS error, value ->> 'pause' AS pause
      FROM json_each($3)) AS f
WHERE outbox_messages.id = f.id AND status = 'pending'
  AND EXISTS (SELECT 1 FROM outbox_publishers WHERE name = $1 AND epoch = $2)",
};

/// SQLite: whether the epoch holds. It has one writer at a time and epochs only rise, so the answer after a mark also holds for the
/// mark.
pub(crate) const FENCE: Sql =
    Sql::same("SELECT count(*) AS fence FROM outbox_publishers WHERE name = $1 AND epoch = $2");
