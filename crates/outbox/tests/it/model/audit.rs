//! What the database itself says of marks and epochs: triggers that write down who did what under whose epoch.
//!
//! On PostgreSQL only: SQLite does not know who its clients are.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

/// The name under which the operator connects; publishers connect under the name that they hold the lease with.
pub(crate) const OPERATOR: &str = "operator";

/// A trigger runs under its session's settings: those of the publisher allow no look at a whole table.
pub(crate) const TRIGGERS: &str = "
    CREATE TABLE model_marks (
        id bigint GENERATED ALWAYS AS IDENTITY, message bigint, who text, holder text, before text, after text);
    CREATE FUNCTION model_marked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO model_marks (message, who, holder, before, after)
        SELECT new.id, current_setting('application_name'), p.holder, old.status, new.status
        FROM outbox_publishers AS p WHERE p.name = 'publisher';
        RETURN NULL;
    END $$;
    CREATE TRIGGER model_marked AFTER UPDATE ON outbox_messages FOR EACH ROW EXECUTE FUNCTION model_marked();
    CREATE TABLE model_epochs (
        id bigint GENERATED ALWAYS AS IDENTITY, who text, holder text, before bigint, after bigint,
        was_over boolean);
    CREATE FUNCTION model_led() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF old.epoch <> new.epoch THEN
            INSERT INTO model_epochs (who, holder, before, after, was_over)
            SELECT current_setting('application_name'), new.holder, old.epoch, new.epoch,
                   old.lease_expires_at <= clock_timestamp();
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER model_led AFTER UPDATE ON outbox_publishers FOR EACH ROW EXECUTE FUNCTION model_led();
";

/// What was marked or led and should not have been.
pub(crate) async fn violations(database: &DatabaseConnection) -> Vec<String> {
    let wrong_marks = format!(
        "SELECT format('row %s: %s -> %s by %s while %s held the lease', message, before, after, who, holder)
         FROM model_marks
         WHERE who <> '{OPERATOR}' AND (who <> holder OR before <> 'pending')
            OR who = '{OPERATOR}' AND before <> 'dead'
         ORDER BY id LIMIT 10"
    );
    let wrong_epochs = format!(
        "SELECT format('epoch %s -> %s by %s for %s, lease run out: %s', before, after, who, holder, was_over)
         FROM model_epochs
         WHERE after <> before + 1 OR who <> '{OPERATOR}' AND (who <> holder OR NOT was_over)
         ORDER BY id LIMIT 10"
    );
    let mut violations = Vec::new();
    for sql in [wrong_marks, wrong_epochs] {
        let backend = database.get_database_backend();
        for row in database.query_all_raw(Statement::from_string(backend, sql)).await.unwrap() {
            violations.push(row.try_get_by_index(0).unwrap());
        }
    }
    violations
}
