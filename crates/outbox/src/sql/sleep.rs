//! Being woken by a commit. PostgreSQL alone: SQLite is polled.

/// Whether the next writer still is to notify: none has, not even one that has rolled back since.
pub(crate) const IS_ASLEEP: &str = "SELECT last_value = 1 AS asleep FROM outbox_asleep";

/// Says whether the next writer is to notify (`$1`: 1 or 0). It takes effect at once, whatever becomes of the transaction.
pub(crate) const SET_ASLEEP: &str = "
SELECT setval('outbox_asleep', $1)
-- Without waiting for the disk: lost in a crash of the database, it costs one poll interval.
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS no_wait";

/// The schema that the session is in: a part of the channel's name.
pub(crate) const SCHEMA: &str = "SELECT current_schema()::text AS schema";
