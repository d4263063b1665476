use sea_orm_migration::{async_trait, prelude::*, schema};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Accounts {
    Table,
    Id,
    Email,
    PasswordHash,
    Admin,
    CreatedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Accounts::Table)
                    .col(schema::uuid(Accounts::Id).primary_key())
                    .col(schema::string_len_uniq(Accounts::Email, 254))
                    .col(schema::text(Accounts::PasswordHash))
                    .col(schema::boolean(Accounts::Admin))
                    .col(schema::timestamp_with_time_zone(Accounts::CreatedAt))
                    .to_owned(),
            )
            .await
    }
}
