//! The outbox's tables, as migrations that a service adds to its own.
//!
//! The statements are written by hand: partial indexes and the trigger have no portable spelling.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// All migrations of the outbox, in order, for a service that publishes. Their names begin with `outbox_`.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Migration {
        name: "outbox_0001_create",
        postgres: OUTBOX_POSTGRES,
        sqlite: OUTBOX_SQLITE,
        down: &["DROP TABLE outbox_messages", "DROP TABLE outbox_publishers"],
        down_postgres: &["DROP FUNCTION outbox_wake()", "DROP SEQUENCE outbox_asleep"],
    })]
}

/// All migrations of the inbox, in order, for a service that consumes. Their names begin with `inbox_`.
pub fn inbox_migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Migration {
        name: "inbox_0001_create",
        postgres: INBOX_POSTGRES,
        sqlite: INBOX_SQLITE,
        down: &["DROP TABLE inbox_messages"],
        down_postgres: &[],
    })]
}

struct Migration {
    name: &'static str,
    postgres: &'static [&'static str],
    sqlite: &'static [&'static str],
    down: &'static [&'static str],
    /// What only PostgreSQL has, after `down`.
    down_postgres: &'static [&'static str],
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = if is_postgres(manager) { self.postgres } else { self.sqlite };
        execute(manager, statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, self.down).await?;
        execute(manager, if is_postgres(manager) { self.down_postgres } else { &[] }).await
    }
}

fn is_postgres(manager: &SchemaManager<'_>) -> bool {
    manager.get_connection().get_database_backend() == DbBackend::Postgres
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

/// Both lists share the indexes: pending rows by id for the publisher; troubled rows by aggregate, to hold back what
/// follows them. Sent rows, the many, are in neither.
const PENDING: &str = "CREATE INDEX outbox_messages_pending ON outbox_messages (id) WHERE status = 'pending'";
const TROUBLED: &str = "CREATE INDEX outbox_messages_troubled ON outbox_messages (aggregate_type, aggregate_id, id) \
     WHERE attempts > 0 AND status <> 'sent'";

const OUTBOX_POSTGRES: &[&str] = &[
    "CREATE TABLE outbox_messages (
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
    "CREATE TABLE outbox_publishers (
        name text PRIMARY KEY,
        epoch bigint NOT NULL,
        holder text NOT NULL,
        lease_expires_at timestamptz NOT NULL
    )",
    // NOTIFY takes a lock that serialises commits, so one is sent only to a publisher that waits for it: 1 here. Whoever sends
    // it puts 0 here, so that of all who commit meanwhile, one pays. A sequence, because its one row is written in place and at
    // once, whatever becomes of the transaction: a row of a table would leave a dead one each time, which all writers had
    // to step over for as long as a dump holds its snapshot open. A transaction that notifies cannot be prepared for a
    // two-phase commit: one that is to be says `SET LOCAL outbox.notify = off`.
    "CREATE SEQUENCE outbox_asleep MINVALUE 0 MAXVALUE 1 START 0",
    // The schema is written into the function: a writer with another search_path must wake the right publisher.
    "DO $migration$ BEGIN
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
    "CREATE TABLE outbox_messages (
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
    "CREATE TABLE outbox_publishers (
        name text PRIMARY KEY,
        epoch bigint NOT NULL,
        holder text NOT NULL,
        lease_expires_at text NOT NULL
    )",
];

/// What was received when, so that it can be forgotten in time.
const RECEIVED: &str = "CREATE INDEX inbox_messages_received ON inbox_messages (received_at)";

const INBOX_POSTGRES: &[&str] = &[
    "CREATE TABLE inbox_messages (
        consumer text NOT NULL,
        message_id uuid NOT NULL,
        received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (consumer, message_id)
    )",
    RECEIVED,
];

const INBOX_SQLITE: &[&str] = &[
    "CREATE TABLE inbox_messages (
        consumer text NOT NULL,
        message_id blob NOT NULL,
        received_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')),
        PRIMARY KEY (consumer, message_id)
    )",
    RECEIVED,
];
