use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, boolean, string_len, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
    },
};

/// Stock and reservations in tables of their own; `products.stock` is copied.
///
/// Expands only. Replicas of the previous release run beside this one for a while: they know `products.stock` alone, so that column
/// stays for one release, and this release writes it too when an administrator creates a product or sets its stock. It does not write it
/// for each reservation, so what an old replica shows (and caches, for a minute) may be too high; no order is reserved by that number. What
/// an old replica writes to the column is not noticed: a product that it creates is sold out, and a stock that it sets has no
/// effect, until an administrator sets the stock again.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(stock()).await?;
        manager.create_table(reservations()).await?;
        manager.create_index(reservations_to_end()).await?;
        manager.create_index(reservations_by_state()).await?;
        manager.create_table(reservation_lines()).await?;
        let copy = "INSERT INTO stock (product_id, received, on_hand, reserved, discontinued) \
                    SELECT id, stock, stock, 0, false FROM products";
        manager.get_connection().execute_unprepared(copy).await?;
        Ok(())
    }
}

fn stock() -> TableCreateStatement {
    Table::create()
        .table("stock")
        // No foreign key: what is reserved or sold stays in the books when the product is deleted.
        .col(big_integer("product_id").primary_key())
        .col(big_integer("received").check(Expr::col("received").gte(0)))
        .col(big_integer("on_hand").check(Expr::col("on_hand").gte(Expr::col("reserved"))))
        .col(big_integer("reserved").check(Expr::col("reserved").gte(0)))
        .col(boolean("discontinued").check(Expr::cust("NOT discontinued OR on_hand = reserved")))
        .to_owned()
}

fn reservations() -> TableCreateStatement {
    let states = ["reserved", "sold", "released", "rejected"];
    Table::create()
        .table("reservations")
        // A UUIDv7, so the primary key is also the order in time.
        .col(uuid("order_id").primary_key())
        .col(string_len("state", 16).check(Expr::col("state").is_in(states)))
        .col(boolean("cancelled"))
        .col(big_integer("version"))
        .col(timestamp_with_time_zone_null("reserved_until"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .to_owned()
}

/// Those that may end by time, which are few.
fn reservations_to_end() -> IndexCreateStatement {
    let mut index = Index::create();
    index.name("reservations_to_end").table("reservations").col("reserved_until");
    index.cond_where(Expr::cust("state = 'reserved'"));
    index
}

/// A page of one state.
fn reservations_by_state() -> IndexCreateStatement {
    Index::create()
        .name("reservations_by_state")
        .table("reservations")
        .col("state")
        .col("order_id")
        .to_owned()
}

fn reservation_lines() -> TableCreateStatement {
    Table::create()
        .table("reservation_lines")
        .col(uuid("order_id"))
        .col(big_integer("product_id"))
        .col(big_integer("quantity").check(Expr::col("quantity").gt(0)))
        .primary_key(Index::create().col("order_id").col("product_id"))
        .foreign_key(
            ForeignKey::create().from("reservation_lines", "order_id").to("reservations", "order_id"),
        )
        .to_owned()
}
