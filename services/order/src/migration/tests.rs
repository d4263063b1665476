use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use sea_orm_migration::MigratorTrait;
use shop_runtime::database::{self, Database};

use super::*;

/// The release before an order had a life.
struct Previous;

#[async_trait::async_trait]
impl MigratorTrait for Previous {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations: Vec<Box<dyn MigrationTrait>> =
            vec![Box::new(m0001_orders::Migration), Box::new(m0002_guest_tokens::Migration)];
        migrations.extend(shop_outbox::migration::migrations());
        migrations
    }
}

/// A database of the previous release with an order in each status that it knows.
async fn filled(url: &str) -> Database {
    let database = database::migrated::<Previous>(&url.parse().unwrap(), crate::SCHEMA).await.unwrap();
    for (number, status) in ["pending", "confirmed", "cancelled"].into_iter().enumerate() {
        insert_as_before(&database, number, status).await.unwrap();
    }
    database
}

/// As the previous release inserts an order: without any of the new columns.
async fn insert_as_before(database: &Database, number: usize, status: &str) -> Result<(), DbErr> {
    let id = format!("{number:032x}");
    let id = match database.get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("'{id}'"),
        _ => format!("x'{id}'"),
    };
    let insert = format!(
        "INSERT INTO orders (id, customer_id, customer_email, total_amount, currency, status, aggregate_version, created_at, \
         guest_token) VALUES ({id}, NULL, 'buyer@example.com', 100, 'RUB', '{status}', 1, '2027-01-15 08:00:00+00:00', NULL)"
    );
    database.execute_unprepared(&insert).await.map(drop)
}

async fn statuses(database: &Database) -> Vec<String> {
    let all =
        Statement::from_string(database.get_database_backend(), "SELECT status FROM orders ORDER BY id");
    let rows = database.query_all_raw(all).await.unwrap();
    rows.iter().map(|row| row.try_get("", "status").unwrap()).collect()
}

async fn orders_survive_and_the_previous_release_goes_on(database: Database) {
    database::migrate::<Migrator>(&database).await.unwrap();
    assert_eq!(statuses(&database).await, ["pending", "confirmed", "cancelled"]);
    insert_as_before(&database, 3, "pending").await.unwrap();
    let cancel = "UPDATE orders SET status = 'cancelled', aggregate_version = 2 WHERE status = 'pending'";
    assert_eq!(database.execute_unprepared(cancel).await.unwrap().rows_affected(), 2);
    insert_as_before(&database, 4, "shipped").await.unwrap();
    insert_as_before(&database, 5, "delivered").await.unwrap();
    assert!(insert_as_before(&database, 6, "lost").await.is_err());
    assert!(database.execute_unprepared("UPDATE orders SET status = 'lost'").await.is_err());
    assert_eq!(statuses(&database).await.len(), 6);
}

async fn what_was_migrated_can_be_undone_and_done_again(database: Database) {
    database::migrate::<Migrator>(&database).await.unwrap();
    insert_as_before(&database, 3, "shipped").await.unwrap();
    // Of the migrations after the first two, the inbox's and the outbox's were applied last.
    let later = u32::try_from(Migrator::migrations().len()).unwrap() - 2;
    Migrator::down(database.connection(), Some(later)).await.unwrap();
    assert_eq!(statuses(&database).await, ["pending", "confirmed", "cancelled", "confirmed"]);
    assert!(insert_as_before(&database, 4, "shipped").await.is_err());
    database::migrate::<Migrator>(&database).await.unwrap();
    insert_as_before(&database, 4, "shipped").await.unwrap();
}

macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $case() {
                super::$case(super::filled("sqlite::memory:").await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test] async fn $case() {
                let Some(server) = shop_testing::postgres().await else { return };
                super::$case(super::filled(&server.url).await).await;
            })*
        }
    };
}

on_both_databases!(
    orders_survive_and_the_previous_release_goes_on,
    what_was_migrated_can_be_undone_and_done_again,
);
