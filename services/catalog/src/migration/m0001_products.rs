use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_pk_auto, integer, text, text_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("products")
                    .col(big_pk_auto("id"))
                    .col(text("name"))
                    .col(text("description"))
                    .col(big_integer("price_minor").check(Expr::col("price_minor").gt(0)))
                    .col(text("category"))
                    .col(integer("stock").check(Expr::col("stock").gte(0)))
                    .col(text_null("drawing"))
                    .col(text("search_text"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("products_category_id")
                    .table("products")
                    .col("category")
                    .col("id")
                    .to_owned(),
            )
            .await
    }
}
