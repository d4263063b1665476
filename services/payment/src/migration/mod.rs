//! The schema `payments`: its own tables, the simulated provider's, the outbox's and the inbox's.

mod m0001_payments;
mod m0002_simulated_provider;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// The payment service's migrations, oldest first. A released one is never edited: changes expand first and contract
/// in a later release, because old and new replicas run side by side during a roll-out.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations: Vec<Box<dyn MigrationTrait>> =
            vec![Box::new(m0001_payments::Migration), Box::new(m0002_simulated_provider::Migration)];
        migrations.extend(shop_outbox::migration::migrations());
        migrations.extend(shop_outbox::migration::inbox_migrations());
        migrations
    }
}
