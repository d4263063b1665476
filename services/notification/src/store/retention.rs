use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};

use super::Store;

/// How long an order is known and a notification is listed, in days. An order's life is far shorter.
const RETENTION: TimeDelta = TimeDelta::days(180);

/// How often old rows are deleted.
pub(crate) const ROUND: Duration = Duration::from_secs(3600);

/// How many rows one statement deletes.
const CHUNK: u64 = 1_000;

/// PostgreSQL: replicas that delete at the same time share the work instead of waiting for each other.
const POSTGRES: [&str; 2] = [
    "DELETE FROM known_orders WHERE (order_id, channel) IN (SELECT order_id, channel FROM known_orders WHERE created_at < $1 \
     ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE created_at < $1 ORDER BY created_at LIMIT $2 \
     FOR UPDATE SKIP LOCKED)",
];

const SQLITE: [&str; 2] = [
    "DELETE FROM known_orders WHERE (order_id, channel) IN (SELECT order_id, channel FROM known_orders WHERE created_at < $1 \
     ORDER BY created_at LIMIT $2)",
    "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
];

impl Store {
    /// Deletes what is older than the retention, in chunks, and returns how many rows that were.
    pub(crate) async fn retire(&self) -> Result<u64, DbErr> {
        let limit = self.clock.now() - RETENTION;
        let backend = self.database.get_database_backend();
        let statements = if backend == DbBackend::Postgres { POSTGRES } else { SQLITE };
        let mut retired = 0;
        for sql in statements {
            loop {
                let values = [limit.into(), CHUNK.cast_signed().into()];
                let statement = Statement::from_sql_and_values(backend, sql, values);
                let deleted = self.database.execute_raw(statement).await?.rows_affected();
                retired += deleted;
                if deleted < CHUNK {
                    break;
                }
            }
        }
        Ok(retired)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shop_core::{Clock, Currency, Money, OrderId};
    use shop_runtime::database;
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{Channel, KnownOrder},
        migration::Migrator,
        store::{Filter, NewNotification},
    };

    async fn what_is_old_goes_and_the_rest_stays(url: &str) {
        let database = database::migrated::<Migrator>(&url.parse().unwrap(), "notifications").await.unwrap();
        let clock = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let store = Store::new(database.clone(), clock.clone());
        let order = |number| KnownOrder {
            order_id: OrderId(Uuid::from_u128(number)),
            customer_email: "user@example.com".parse().unwrap(),
            language: None,
            items: Vec::new(),
            total_amount: Money::ZERO,
            currency: Currency::RUB,
            sealed_token: None,
            was_confirmed: false,
        };
        let notification = |number| NewNotification {
            message_id: Uuid::from_u128(number),
            order_id: OrderId(Uuid::from_u128(number)),
            event_type: "order_created",
            channel: Channel::Email,
            recipient: "user@example.com",
        };
        for number in [1, 2] {
            for channel in [Channel::Email, Channel::Telegram] {
                store.remember(&database, channel, &order(number)).await.unwrap();
            }
            assert!(store.write_down(&database, notification(number)).await.unwrap().is_some());
            clock.advance(RETENTION - TimeDelta::days(1));
        }
        assert_eq!(store.retire().await.unwrap(), 3, "two channels' order and a notification");
        assert_eq!(store.retire().await.unwrap(), 0);
        let known = |number| store.known(&database, Channel::Email, OrderId(Uuid::from_u128(number)));
        assert_eq!(known(1).await.unwrap(), None);
        assert_eq!(known(2).await.unwrap(), Some(order(2)));
        let left = store.notifications(Filter { order_id: None, before: None, limit: 10 }).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(store.write_down(&database, notification(2)).await.unwrap(), None, "told before");
    }

    #[tokio::test]
    async fn what_is_old_goes_on_sqlite() {
        what_is_old_goes_and_the_rest_stays("sqlite::memory:").await;
    }

    #[tokio::test]
    async fn what_is_old_goes_on_postgres() {
        shop_runtime::install_crypto();
        let Some(postgres) = shop_testing::postgres().await else { return };
        what_is_old_goes_and_the_rest_stays(&postgres.url).await;
    }
}
