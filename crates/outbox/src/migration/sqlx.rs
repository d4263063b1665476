//! For services that only use sqlx: sqlx's own migrator, with a separate table for the applied migrations, so that it does not interfere
//! with the service's migrations in the same schema.

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::{
    Pool,
    sql::schema::{INBOX, OUTBOX, Script},
};

/// Creates the outbox's tables, or migrates them, for a service that publishes. The applied migrations are recorded in
/// the table `outbox_migrations`.
///
/// # Errors
/// The database refuses or is away; or its tables belong to a later version than this one.
pub async fn apply(pool: &Pool) -> Result<(), MigrateError> {
    run(pool, OUTBOX, "outbox_migrations").await
}

/// Creates the inbox's table, or migrates it, for a service that consumes. The applied migrations are recorded in the
/// table `inbox_migrations`.
///
/// # Errors
/// As [`apply`].
pub async fn apply_inbox(pool: &Pool) -> Result<(), MigrateError> {
    run(pool, INBOX, "inbox_migrations").await
}

async fn run(pool: &Pool, scripts: &'static [Script], table: &'static str) -> Result<(), MigrateError> {
    match pool {
        Pool::Postgres(pool) => migrator(scripts, table, |script| script.postgres.up).run(pool).await,
        #[cfg(feature = "sqlite")]
        Pool::Sqlite(pool) => migrator(scripts, table, |script| script.sqlite.up).run(pool).await,
    }
}

fn migrator(
    scripts: &'static [Script],
    table: &'static str,
    up: impl Fn(&Script) -> &'static [&'static str],
) -> Migrator {
    let migrations = (1..).zip(scripts).map(|(version, script)| {
        let sql = AssertSqlSafe(up(script).join(";\n")).into_sql_str();
        Migration::new(version, script.name.into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(table);
    migrator
}
