//! For services that use sqlx alone: sqlx's own migrator, with a table of its own for what has been applied, so that it gets along
//! with the service's migrations in the same schema.

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::{
    Pool,
    sql::schema::{INBOX, OUTBOX, Script},
};

/// Makes the outbox's tables, or brings them up to date, for a service that publishes. What has been applied is written down in
/// the table `outbox_migrations`.
///
/// # Errors
/// The database refuses or is away; or its tables are of a later version than this one.
pub async fn apply(pool: &Pool) -> Result<(), MigrateError> {
    run(pool, OUTBOX, "outbox_migrations").await
}

/// Makes the inbox's table, or brings it up to date, for a service that consumes. What has been applied is written down in the
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
