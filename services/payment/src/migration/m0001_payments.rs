use sea_orm_migration::{prelude::*, schema::*};
use shop_core::Money;

/// Payments, and the orders that were cancelled before their payment was opened.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "payments_0001_create"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(payments()).await?;
        let mut due = Index::create();
        due.name("payments_due").table("payments").col("due_at");
        due.cond_where(Expr::col("due_at").is_not_null());
        manager.create_index(due).await?;
        manager.create_table(cancelled_orders()).await?;
        let by_age = Index::create()
            .name("cancelled_orders_created_at")
            .table("cancelled_orders")
            .col("created_at")
            .to_owned();
        manager.create_index(by_age).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["cancelled_orders", "payments"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn payments() -> TableCreateStatement {
    let states = ["pending", "processed", "failed", "cancelled", "refunding", "refunded"];
    Table::create()
        .table("payments")
        // A UUIDv7, so the primary key is also the order in time.
        .col(uuid("id").primary_key())
        .col(uuid("order_id").unique_key())
        .col(string_len("customer_email", 254))
        .col(big_integer("amount").check(Expr::col("amount").between(0, Money::MAX.minor())))
        .col(string_len("currency", 3))
        .col(string_len("state", 16).check(Expr::col("state").is_in(states)))
        .col(string_len_null("code", 16))
        .col(text_null("reason"))
        .col(string_len("provider", 32))
        .col(string_len("idempotency_key", 64))
        .col(string_len_null("reference", 255))
        .col(string_len("doubt", 8).check(Expr::col("doubt").is_in(["none", "unknown", "missing"])))
        .col(boolean("unwanted"))
        .col(integer("attempts"))
        .col(big_integer("aggregate_version"))
        .col(timestamp_with_time_zone("give_up_at"))
        // When there is something to do; NULL: never.
        .col(timestamp_with_time_zone_null("due_at"))
        // The attempt that works on it, and until when nobody else does.
        .col(uuid_null("lease"))
        .col(timestamp_with_time_zone_null("leased_until"))
        // The place in the trace of the event that opened it, where the worker's spans go on.
        .col(string_len_null("traceparent", 64))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .to_owned()
}

/// `order.cancelled` and `stock.reserved` come from different publishers, so either may come first.
fn cancelled_orders() -> TableCreateStatement {
    Table::create()
        .table("cancelled_orders")
        .col(uuid("order_id").primary_key())
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}
