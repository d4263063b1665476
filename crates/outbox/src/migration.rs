//! The outbox's tables, as migrations that a service adds to its own.
//!
//! The statements are written by hand: partial indexes and the trigger have no portable spelling.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// All migrations of the outbox, in order. Their names begin with `outbox_`.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(CreateOutbox)]
}

struct CreateOutbox;

impl MigrationName for CreateOutbox {
    fn name(&self) -> &'static str {
        "outbox_0001_create"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateOutbox {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let statements = match connection.get_database_backend() {
            DbBackend::Postgres => POSTGRES,
            _ => SQLITE,
        };
        for statement in statements {
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared("DROP TABLE outbox_messages").await?;
        connection.execute_unprepared("DROP TABLE outbox_publishers").await?;
        if connection.get_database_backend() == DbBackend::Postgres {
            connection.execute_unprepared("DROP FUNCTION outbox_wake()").await?;
        }
        Ok(())
    }
}

/// Both lists share the indexes: pending rows by id for the publisher; troubled rows by aggregate, to hold back what
/// follows them. Sent rows, the many, are in neither.
const PENDING: &str = "CREATE INDEX outbox_messages_pending ON outbox_messages (id) WHERE status = 'pending'";
const TROUBLED: &str = "CREATE INDEX outbox_messages_troubled ON outbox_messages (aggregate_type, aggregate_id, id) \
     WHERE attempts > 0 AND status <> 'sent'";

const POSTGRES: &[&str] = &[
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
        lease_expires_at timestamptz NOT NULL,
        asleep boolean NOT NULL DEFAULT false
    )",
    // NOTIFY takes a lock that serialises commits, so it is sent only while the publisher says that it sleeps.
    // The schema is written into the function: a writer with another search_path must wake the right publisher.
    "DO $migration$ BEGIN
        EXECUTE format(
            'CREATE FUNCTION %1$I.outbox_wake() RETURNS trigger LANGUAGE plpgsql AS $function$
             BEGIN
                 PERFORM pg_notify(%2$L, '''') FROM %1$I.outbox_publishers WHERE asleep;
                 RETURN NULL;
             END $function$', current_schema(), 'outbox.' || current_schema());
    END $migration$",
    "CREATE TRIGGER outbox_wake AFTER INSERT ON outbox_messages FOR EACH STATEMENT EXECUTE FUNCTION outbox_wake()",
];

const SQLITE: &[&str] = &[
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
        lease_expires_at text NOT NULL,
        asleep boolean NOT NULL DEFAULT false
    )",
];
