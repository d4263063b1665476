use sea_orm_migration::{prelude::*, schema::*};

/// Guests' order tokens: their hashes beside the orders, and the sealed tokens themselves beside the stored
/// responses.
///
/// Expands only: a replica of the previous release writes neither column, and only the shop can read the orders of its guests.
pub(super) struct Migration;

/// Table and column. SQLite adds one at a time.
const COLUMNS: [(&str, &str); 2] = [("orders", "guest_token"), ("idempotency_keys", "sealed_token")];

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "orders_0002_guest_tokens"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in COLUMNS {
            let add = Table::alter().table(table).add_column(binary_len_null(column, 32)).to_owned();
            manager.alter_table(add).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in COLUMNS {
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
