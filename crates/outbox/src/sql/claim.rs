//! Reading what may be sent now.

use super::Sql;

/// Whether a row is pending and due; it may still have to wait for another one. `$1`: the lowest id to read; `$2`: ids to leave out.
///
/// A fifth of a claim's cost for the database, most of which is planning.
pub(crate) const PEEK: Sql = Sql {
    postgres: "
SELECT 1 FROM outbox_messages
WHERE status = 'pending' AND id >= $1 AND id <> ALL($2)
  AND (available_at IS NULL OR available_at <= statement_timestamp())
LIMIT 1",
    sqlite: "
SELECT 1 FROM outbox_messages
WHERE status = 'pending' AND id >= $1 AND id NOT IN (SELECT value FROM json_each($2))
  AND (available_at IS NULL OR available_at <= strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))
LIMIT 1",
};

/// The oldest rows that may be sent. `$1`: the lowest id to read; `$2`: ids to leave out; `$3`: the maximum number of rows, and `$4`: the
/// maximum size of their payloads in bytes.
pub(crate) const CLAIM: Sql = Sql {
    postgres: "
SELECT * FROM (
    SELECT id, message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key,
           payload::text AS payload, headers::text AS headers, attempts, created_at,
           sum(octet_length(payload::text)) OVER w AS bytes, row_number() OVER w AS place
    FROM outbox_messages AS m
    -- NOT IN over a set is a hash look-up whatever the planner knows; <> ALL would compare with each id.
    WHERE status = 'pending' AND id >= $1 AND id NOT IN (SELECT unnest($2))
      -- One moment for the whole statement: between two, a row could become due that has just been passed over, and the next
      -- one of its aggregate would be sent first.
      AND (available_at IS NULL OR available_at <= statement_timestamp())
      -- An older row of its aggregate that is dead, or waits for its next try, holds it back.
      AND NOT EXISTS (
        SELECT FROM outbox_messages AS earlier
        WHERE earlier.aggregate_type = m.aggregate_type AND earlier.aggregate_id = m.aggregate_id
          AND earlier.id < m.id AND earlier.attempts > 0 AND earlier.status <> 'sent'
          AND (earlier.status = 'dead' OR earlier.available_at > statement_timestamp())
        -- Keeps this a look into the index for each row: as a join with ten thousand troubled rows it took a second.
        OFFSET 0)
    WINDOW w AS (ORDER BY id ROWS UNBOUNDED PRECEDING)
    ORDER BY id LIMIT $3) AS claimed
-- The first row always passes, however large it is.
WHERE bytes <= $4 OR place = 1",
    sqlite: "
-- One moment for the whole statement, as PostgreSQL has it.
WITH clock AS MATERIALIZED (SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') AS now)
SELECT * FROM (
    SELECT id, message_id, aggregate_type, aggregate_id, aggregate_version, event_type, routing_key,
           payload, headers, attempts, created_at,
           sum(octet_length(payload)) OVER w AS bytes, row_number() OVER w AS place
    FROM outbox_messages AS m, clock
    WHERE status = 'pending' AND id >= $1 AND id NOT IN (SELECT value FROM json_each($2))
      AND (available_at IS NULL OR available_at <= clock.now)
      AND NOT EXISTS (
        SELECT 1 FROM outbox_messages AS earlier
        WHERE earlier.aggregate_type = m.aggregate_type AND earlier.aggregate_id = m.aggregate_id
          AND earlier.id < m.id AND earlier.attempts > 0 AND earlier.status <> 'sent'
          AND (earlier.status = 'dead' OR earlier.available_at > clock.now))
    WINDOW w AS (ORDER BY id ROWS UNBOUNDED PRECEDING)
    ORDER BY id LIMIT $3) AS claimed
WHERE bytes <= $4 OR place = 1",
};
