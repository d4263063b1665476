use sea_orm_migration::{prelude::*, schema::*};
use shop_core::Money;

/// The orders that are known, what their customers were told, and who has linked a chat.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "notifications_0001_create"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(known_orders()).await?;
        manager.create_index(by_age("known_orders")).await?;
        manager.create_table(notifications()).await?;
        manager.create_index(once()).await?;
        manager.create_index(of_an_order()).await?;
        manager.create_index(by_age("notifications")).await?;
        manager.create_table(telegram_links()).await?;
        manager.create_index(of_an_address()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["telegram_links", "notifications", "known_orders"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// Each channel has its own rows. A row of both would make one wait for the other, which holds it while it sends.
fn known_orders() -> TableCreateStatement {
    Table::create()
        .table("known_orders")
        .col(uuid("order_id"))
        .col(string_len("channel", 16))
        .col(string_len("customer_email", 254))
        .col(string_len_null("language", 8))
        // The lines as JSON, as in the event.
        .col(text("items"))
        .col(big_integer("total_amount").check(Expr::col("total_amount").between(0, Money::MAX.minor())))
        .col(string_len("currency", 3))
        .col(text_null("sealed_token"))
        .col(boolean("was_confirmed").default(false))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("order_id").col("channel"))
        .to_owned()
}

fn notifications() -> TableCreateStatement {
    Table::create()
        .table("notifications")
        // A UUIDv7, so the primary key is also the order in time.
        .col(uuid("id").primary_key())
        .col(uuid("message_id"))
        .col(uuid("order_id"))
        .col(string_len("event_type", 64))
        .col(string_len("channel", 16))
        .col(string_len("recipient", 254))
        .col(string_len("state", 16).check(Expr::col("state").is_in(["sent", "skipped"])))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

/// Somebody is told about an event once on each channel, even if the inbox has forgotten it.
fn once() -> IndexCreateStatement {
    let mut index = Index::create();
    index.name("notifications_once").table("notifications").col("message_id").col("channel").unique();
    index
}

/// A page of one order's notifications.
fn of_an_order() -> IndexCreateStatement {
    Index::create()
        .name("notifications_of_an_order")
        .table("notifications")
        .col("order_id")
        .col("id")
        .to_owned()
}

/// For the retention.
fn by_age(table: &str) -> IndexCreateStatement {
    Index::create().name(format!("{table}_created_at")).table(table.to_owned()).col("created_at").to_owned()
}

/// A chat belongs to one account.
fn telegram_links() -> TableCreateStatement {
    Table::create()
        .table("telegram_links")
        .col(big_integer("chat_id").primary_key())
        .col(uuid("user_id"))
        .col(string_len("email", 254))
        .col(string_len("language", 8))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

fn of_an_address() -> IndexCreateStatement {
    Index::create().name("telegram_links_email").table("telegram_links").col("email").to_owned()
}
