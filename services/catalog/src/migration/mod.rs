//! This service's migrations, and those of its outbox and its inbox. Expand first, contract in a later release: the previous release must still run.

mod m0001_products;
mod m0002_first_products;
mod m0003_cache_key;
mod m0004_stock;

use sea_orm_migration::prelude::*;

/// All migrations, in order.
#[derive(Debug)]
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations: Vec<Box<dyn MigrationTrait>> = vec![
            Box::new(m0001_products::Migration),
            Box::new(m0002_first_products::Migration),
            Box::new(m0003_cache_key::Migration),
            Box::new(m0004_stock::Migration),
        ];
        migrations.extend(shop_outbox::migration::migrations());
        migrations.extend(shop_outbox::migration::inbox_migrations());
        migrations
    }
}
