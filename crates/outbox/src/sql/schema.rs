//! The tables, indexes and the trigger. A released script never changes: later changes are new scripts.

/// The statements of a migration.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) postgres: Both,
    #[cfg_attr(
        not(any(feature = "sea-orm", feature = "sqlite")),
        expect(dead_code, reason = "without either there is PostgreSQL alone")
    )]
    pub(crate) sqlite: Both,
}

/// A script and the script that reverses it.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) up: &'static [&'static str],
    #[cfg_attr(not(feature = "sea-orm"), expect(dead_code, reason = "only sea-orm's migrator goes back"))]
    pub(crate) down: &'static [&'static str],
}

/// The outbox, for a service that publishes.
pub(crate) const OUTBOX: &[Script] = &[Script {
    name: "outbox_0001_create",
    postgres: Both {
        up: OUTBOX_POSTGRES,
        down: &[
            "DROP TABLE outbox_messages",
            "DROP TABLE outbox_publishers",
            "DROP FUNCTION outbox_wake()",
            "DROP SEQUENCE outbox_asleep",
        ],
    },
    sqlite: Both { up: OUTBOX_SQLITE, down: &["DROP TABLE outbox_messages", "DROP TABLE outbox_publishers"] },
}];

/// The inbox, for a service that consumes.
pub(crate) const INBOX: &[Script] = &[Script {
    name: "inbox_0001_create",
    postgres: Both { up: INBOX_POSTGRES, down: &["DROP TABLE inbox_messages"] },
    sqlite: Both { up: INBOX_SQLITE, down: &["DROP TABLE inbox_messages"] },
}];

/// Both databases have the same indexes. Neither index contains sent rows, which are most of the table.
const PENDING: &str = "
-- The pending rows by id, for the publisher.
CREATE INDEX outbox_messages_pending ON outbox_messages (id) WHERE status = 'pending'";
const TROUBLED: &str = "
-- The troubled rows by aggregate, to hold back what follows them.
CREATE INDEX outbox_messages_troubled ON outbox_messages (aggregate_type, aggregate_id, id)
WHERE attempts > 0 AND status <> 'sent'";

const OUTBOX_POSTGRES: &[&str] = &[
    "
CREATE TABLE outbox_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    aggregate_version bigint NOT NULL,
    event_type text NOT NULL,
    routing_key text NOT NULL,
    payload json NOT NULL,
    headers json NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    available_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz
)",
    PENDING,
    TROUBLED,
    "
CREATE TABLE outbox_publishers (
    name text PRIMARY KEY,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    lease_expires_at timestamptz NOT NULL
)",
    "
-- 1 here: the publisher sleeps, and the next writer is to notify it. NOTIFY takes a lock that serialises commits, so one is sent
-- only to a publisher that waits for it, and whoever sends it puts 0 here, so that of all who commit meanwhile one pays.
--
-- A sequence, because its one row is written in place and at once, whatever becomes of the transaction. A row of a table would
-- leave a dead version each time, and every writer would have to step over them for as long as a dump holds its snapshot open.
--
-- A transaction that notifies cannot be prepared for a two-phase commit: one that is to be says SET LOCAL outbox.notify = off.
CREATE SEQUENCE outbox_asleep MINVALUE 0 MAXVALUE 1 START 0",
    "
-- The schema is written into the function: a writer with another search_path must wake the right publisher.
DO $migration$ BEGIN
    EXECUTE format(
        'CREATE FUNCTION %1$I.outbox_wake() RETURNS trigger LANGUAGE plpgsql AS $function$
         BEGIN
             IF (SELECT last_value FROM %1$I.outbox_asleep) = 1
                AND coalesce(current_setting(''outbox.notify'', true), '''') <> ''off'' THEN
                 PERFORM setval(%3$L, 0);
                 PERFORM pg_notify(%2$L, '''');
             END IF;
             RETURN NULL;
         END $function$',
        current_schema(), 'outbox.' || current_schema(), format('%I.outbox_asleep', current_schema()));
END $migration$",
    "CREATE TRIGGER outbox_wake AFTER INSERT ON outbox_messages FOR EACH STATEMENT EXECUTE FUNCTION outbox_wake()",
];

const OUTBOX_SQLITE: &[&str] = &[
    "
CREATE TABLE outbox_messages (
    id integer PRIMARY KEY AUTOINCREMENT,
    message_id blob NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    aggregate_version bigint NOT NULL,
    event_type text NOT NULL,
    routing_key text NOT NULL,
    payload text NOT NULL CHECK (json_valid(payload)),
    headers text NOT NULL CHECK (json_valid(headers)),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    available_at text,
    last_error text,
    created_at text NOT NULL,
    sent_at text
)",
    PENDING,
    TROUBLED,
    "
CREATE TABLE outbox_publishers (
    name text PRIMARY KEY,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    lease_expires_at text NOT NULL
)",
];

/// Finds old messages, so that they can be deleted.
const RECEIVED: &str = "CREATE INDEX inbox_messages_received ON inbox_messages (received_at)";

const INBOX_POSTGRES: &[&str] = &[
    "
CREATE TABLE inbox_messages (
    consumer text NOT NULL,
    message_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, message_id)
)",
    RECEIVED,
];

const INBOX_SQLITE: &[&str] = &[
    "
CREATE TABLE inbox_messages (
    consumer text NOT NULL,
    message_id blob NOT NULL,
    received_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
    PRIMARY KEY (consumer, message_id)
)",
    RECEIVED,
];
