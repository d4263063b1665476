//! For services that migrate with sea-orm.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

use crate::sql::schema::{Both, INBOX, OUTBOX, Script};

/// All migrations of the outbox, in order, for a service that publishes. Their names begin with `outbox_`.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    boxed(OUTBOX)
}

/// All migrations of the inbox, in order, for a service that consumes. Their names begin with `inbox_`.
pub fn inbox_migrations() -> Vec<Box<dyn MigrationTrait>> {
    boxed(INBOX)
}

fn boxed(scripts: &'static [Script]) -> Vec<Box<dyn MigrationTrait>> {
    scripts.iter().map(|script| Box::new(Migration(script)) as _).collect()
}

struct Migration(&'static Script);

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.0.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, self.of(manager).up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, self.of(manager).down).await
    }
}

impl Migration {
    fn of(&self, manager: &SchemaManager<'_>) -> &'static Both {
        match manager.get_connection().get_database_backend() {
            DbBackend::Postgres => &self.0.postgres,
            _ => &self.0.sqlite,
        }
    }
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
