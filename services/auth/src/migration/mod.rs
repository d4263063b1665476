//! The history of this service's tables. A change expands first and contracts in a later release, so that the old and
//! the new version can run side by side.

mod m0001_accounts;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_accounts::Migration)]
    }
}
