//! Being woken by a commit. PostgreSQL only; SQLite is polled.

/// Whether the next writer still has to notify: none has, not even one that has rolled back since.
pub(crate) const IS_ASLEEP: &str = "SELECT last_value = 1 AS asleep FROM outbox_asleep";

/// Sets whether the next writer has to notify (`$1`: 1 or 0). It takes effect at once, whatever happens to the transaction.
pub(crate) const SET_ASLEEP: &str = "
SELECT setval('outbox_asleep', $1)
-- Without waiting for the disk: lost in a crash of the database, it costs one poll interval.
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS no_wait";

/// The session's schema, which is a part of the channel's name.
pub(crate) const SCHEMA: &str = "SELECT current_schema()::text AS schema";
