use sea_orm_migration::{prelude::*, schema::*};
use shop_core::{Money, basket::Limits};

/// Orders, their items, and the idempotency keys of requests.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "orders_0001_create"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(orders()).await?;
        manager.create_index(orders_of_a_customer()).await?;
        manager.create_index(orders_of_guests()).await?;
        manager.create_table(order_items()).await?;
        manager.create_table(idempotency_keys()).await?;
        let by_age = Index::create()
            .name("idempotency_keys_created_at")
            .table("idempotency_keys")
            .col("created_at")
            .to_owned();
        manager.create_index(by_age).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["idempotency_keys", "order_items", "orders"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn orders() -> TableCreateStatement {
    Table::create()
        .table("orders")
        // A UUIDv7, so the primary key is also the order in time.
        .col(uuid("id").primary_key())
        .col(uuid_null("customer_id"))
        .col(string_len("customer_email", 254))
        .col(big_integer("total_amount").check(Expr::col("total_amount").between(0, Money::MAX.minor())))
        .col(string_len("currency", 3))
        .col(string_len("status", 16).check(Expr::col("status").is_in(["pending", "confirmed", "cancelled"])))
        .col(big_integer("aggregate_version"))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

/// A page of one customer's orders.
fn orders_of_a_customer() -> IndexCreateStatement {
    let mut index = Index::create();
    index.name("orders_of_a_customer").table("orders").col("customer_id").col("id");
    index.cond_where(Expr::col("customer_id").is_not_null());
    index
}

/// A page of guests' orders. It has its own index, because with the other one PostgreSQL would sort what it finds by `IS NULL`.
fn orders_of_guests() -> IndexCreateStatement {
    let mut index = Index::create();
    index.name("orders_of_guests").table("orders").col("id").cond_where(Expr::col("customer_id").is_null());
    index
}

fn order_items() -> TableCreateStatement {
    Table::create()
        .table("order_items")
        .col(uuid("order_id"))
        .col(small_integer("position"))
        .col(big_integer("product_id"))
        .col(text("name"))
        .col(integer("quantity").check(Expr::col("quantity").between(1, Limits::ORDER.of_one)))
        .col(big_integer("price").check(Expr::col("price").between(0, Money::MAX.minor())))
        .primary_key(Index::create().col("order_id").col("position"))
        .foreign_key(ForeignKey::create().from("order_items", "order_id").to("orders", "id"))
        .to_owned()
}

fn idempotency_keys() -> TableCreateStatement {
    Table::create()
        .table("idempotency_keys")
        // SHA-256 of the sender and the key: its length is fixed, and it contains no e-mail address.
        .col(binary_len("id", 32).primary_key())
        .col(binary_len("fingerprint", 32))
        .col(uuid("attempt"))
        .col(timestamp_with_time_zone("leased_until"))
        .col(small_integer_null("status"))
        .col(string_len_null("location", 255))
        .col(text_null("body"))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}
