use sea_orm_migration::{prelude::*, schema::*};
use shop_core::Money;

/// The simulated provider's books. They are as far from the payments as a real provider's: no statement touches both.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "payments_0002_simulated_provider"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [charges(), calls(), switches()] {
            manager.create_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["simulated_switches", "simulated_calls", "simulated_charges"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn charges() -> TableCreateStatement {
    Table::create()
        .table("simulated_charges")
        .col(string_len("idempotency_key", 64).primary_key())
        .col(uuid("order_id").unique_key())
        .col(big_integer("amount").check(Expr::col("amount").between(0, Money::MAX.minor())))
        .col(string_len("currency", 3))
        .col(string_len("state", 16).check(Expr::col("state").is_in(["charged", "declined", "refunded"])))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

/// What the provider remembers of keys besides their charges.
fn calls() -> TableCreateStatement {
    Table::create()
        .table("simulated_calls")
        .col(string_len("idempotency_key", 64).primary_key())
        // How many calls to charge have failed on purpose.
        .col(integer("failures"))
        // Whether no charge is accepted any more.
        .col(boolean("void"))
        .to_owned()
}

/// What an administrator has changed at run time, for all replicas.
fn switches() -> TableCreateStatement {
    Table::create()
        .table("simulated_switches")
        .col(string_len("name", 32).primary_key())
        .col(boolean("is_on"))
        .to_owned()
}
