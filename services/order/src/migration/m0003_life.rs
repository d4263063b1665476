use sea_orm::DbBackend;
use sea_orm_migration::{prelude::*, schema::*};

/// An order's life after it was placed: the statuses `shipped` and `delivered`, its timeline, and what a status comes with.
///
/// Expands only: a replica of the previous release neither reads nor writes what is new. An order that it places has a timeline like any
/// other, because the first entry is the order itself; one that it cancels has neither a code nor an entry. Nothing is shipped until
/// somebody asks for it, so ship orders when all replicas know the status.
pub(super) struct Migration;

const STATUSES: [&str; 5] = ["pending", "confirmed", "shipped", "delivered", "cancelled"];
const STATUSES_BEFORE: [&str; 3] = ["pending", "confirmed", "cancelled"];

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "orders_0003_life"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        allow(manager, &STATUSES).await?;
        // SQLite adds one column at a time.
        for column in columns() {
            manager.alter_table(Table::alter().table("orders").add_column(column).to_owned()).await?;
        }
        manager.create_table(timeline()).await?;
        manager.create_index(pending()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("orders_pending").table("orders").to_owned()).await?;
        manager.drop_table(Table::drop().table("order_timeline").to_owned()).await?;
        for column in columns() {
            let drop = Table::alter().table("orders").drop_column(column.get_column_name()).to_owned();
            manager.alter_table(drop).await?;
        }
        // The statuses that a previous release does not know are the closest one that it knows.
        let statement = "UPDATE orders SET status = 'confirmed' WHERE status IN ('shipped', 'delivered')";
        manager.get_connection().execute_unprepared(statement).await?;
        allow(manager, &STATUSES_BEFORE).await
    }
}

/// Makes these the values that `status` may have. No index contains the column at this point.
async fn allow(manager: &SchemaManager<'_>, statuses: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let quoted: Vec<_> = statuses.iter().map(|status| format!("'{status}'")).collect();
    let quoted = quoted.join(", ");
    if connection.get_database_backend() == DbBackend::Postgres {
        // NOT VALID: stored rows need no check, which would keep everybody waiting. They satisfy this as they satisfied the old one.
        let replace = format!(
            "ALTER TABLE orders DROP CONSTRAINT orders_status_check, \
             ADD CONSTRAINT orders_status_check CHECK (status IN ({quoted})) NOT VALID"
        );
        connection.execute_unprepared(&replace).await?;
        return Ok(());
    }
    // SQLite cannot change a column's check, but it drops the check with the column.
    for statement in [
        &format!(
            "ALTER TABLE orders ADD COLUMN new_status varchar(16) NOT NULL DEFAULT 'pending' \
             CHECK (new_status IN ({quoted}))"
        ),
        "UPDATE orders SET new_status = status",
        "ALTER TABLE orders DROP COLUMN status",
        "ALTER TABLE orders RENAME COLUMN new_status TO status",
    ] {
        connection.execute_unprepared(statement).await?;
    }
    Ok(())
}

fn columns() -> [ColumnDef; 5] {
    [
        string_len_null("cancellation_code", 32),
        text_null("cancellation_reason"),
        string_len_null("tracking_number", 64),
        // BCP 47.
        string_len_null("language", 35),
        // W3C.
        string_len_null("trace_parent", 55),
    ]
}

fn timeline() -> TableCreateStatement {
    Table::create()
        .table("order_timeline")
        .col(uuid("order_id"))
        // From 2: the first entry is the order itself.
        .col(small_integer("seq"))
        .col(timestamp_with_time_zone("at"))
        .col(string_len("event", 32))
        .col(text_null("detail"))
        .primary_key(Index::create().col("order_id").col("seq"))
        .foreign_key(ForeignKey::create().from("order_timeline", "order_id").to("orders", "id"))
        .to_owned()
}

/// The orders that may time out, oldest first. Most orders are not in it.
fn pending() -> IndexCreateStatement {
    let mut index = Index::create();
    index.name("orders_pending").table("orders").col("created_at");
    index.cond_where(Expr::col("status").eq("pending"));
    index
}
