//! The lease: one row for each name under which publishers exclude each other.

use super::Sql;

/// Takes the lease `$1` for `$2`, for the duration `$3`, and raises the epoch; only if the condition holds, if there is one.
macro_rules! take {
    (postgres: $postgres:literal, sqlite: $sqlite:literal) => {
        Sql {
            postgres: concat!(
                "
INSERT INTO outbox_publishers AS p (name, epoch, holder, lease_expires_at)
VALUES ($1, 1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE
SET epoch = p.epoch + 1, holder = excluded.holder, lease_expires_at = excluded.lease_expires_at
",
                $postgres,
                " RETURNING epoch"
            ),
            sqlite: concat!(
                "
INSERT INTO outbox_publishers AS p (name, epoch, holder, lease_expires_at)
VALUES ($1, 1, $2, strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', $3 || ' seconds'))
ON CONFLICT (name) DO UPDATE
SET epoch = p.epoch + 1, holder = excluded.holder, lease_expires_at = excluded.lease_expires_at
",
                $sqlite,
                " RETURNING epoch"
            ),
        }
    };
}

/// Takes the lease if it is free or has expired. If no row is returned, another publisher holds it.
pub(crate) const ACQUIRE: Sql = take!(
    postgres: "WHERE p.lease_expires_at <= clock_timestamp()",
    sqlite: "WHERE p.lease_expires_at <= strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
);

/// Takes the lease from any holder.
pub(crate) const TAKE_OVER: Sql = take!(postgres: "", sqlite: "");

/// Extends the lease `$1` to `$3` from now, if its epoch is still `$2`.
pub(crate) const RENEW: Sql = Sql {
    postgres: "
UPDATE outbox_publishers SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
WHERE name = $1 AND epoch = $2",
    sqlite: "
UPDATE outbox_publishers SET lease_expires_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', $3 || ' seconds')
WHERE name = $1 AND epoch = $2",
};

/// Ends the lease `$1` of the epoch `$2`; on PostgreSQL it notifies the waiting publishers.
pub(crate) const RELEASE: Sql = Sql {
    postgres: "
WITH released AS (
    UPDATE outbox_publishers SET lease_expires_at = clock_timestamp() WHERE name = $1 AND epoch = $2
    RETURNING 1)
SELECT pg_notify('outbox.' || current_schema(), 'released') FROM released",
    sqlite: "
UPDATE outbox_publishers SET lease_expires_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')
WHERE name = $1 AND epoch = $2",
};

/// The payload of the notification in [`RELEASE`]; that of a commit is empty.
pub(crate) const RELEASED: &str = "released";

/// The current or last holder of the lease `$1`.
pub(crate) const LEADER: Sql = Sql {
    postgres: "
SELECT epoch, holder, lease_expires_at, lease_expires_at > clock_timestamp() AS leading
FROM outbox_publishers WHERE name = $1",
    sqlite: "
SELECT epoch, holder, lease_expires_at,
       lease_expires_at > strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') AS leading
FROM outbox_publishers WHERE name = $1",
};
