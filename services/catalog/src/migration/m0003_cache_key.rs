use sea_orm_migration::{
    prelude::*,
    schema::{integer, text},
    sea_orm::DbBackend,
};

/// The key that seals the cached list: known to those who can read the database, but not to those who can write to Redis.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("cache_key")
            .col(integer("id").primary_key().check(Expr::col("id").eq(1)))
            .col(text("key"))
            .to_owned();
        manager.create_table(table).await?;
        let random = match manager.get_database_backend() {
            DbBackend::Postgres => "gen_random_uuid()::text || gen_random_uuid()::text",
            _ => "lower(hex(randomblob(32)))",
        };
        let insert = format!("INSERT INTO cache_key (id, key) VALUES (1, {random})");
        manager.get_connection().execute_unprepared(&insert).await?;
        Ok(())
    }
}
