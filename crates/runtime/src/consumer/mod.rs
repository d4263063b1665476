//! A service that consumes: a [`Consumer`] on its database and its bus, with its metrics, its health and its tools.

mod config;
mod database;
mod tool;

use std::time::Duration;

pub use shop_outbox::consumer::{Effect, Handler, Misplaced, Options, Received, Trace, Unknown};

pub use self::{
    config::{ConsumerConfig, ConsumerTrace},
    tool::{Consumes, Tool},
};
use crate::{Scope, database::Database};

/// A queue and the handlers of what is in it, on a service's database.
pub type Consumer = shop_outbox::consumer::Consumer<Database>;

/// How long a consumer may get nowhere before the service is not as it should be: longer than an attempt and the pause after it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the consumer of a service, of which there is one: what is to stay in order comes through one queue. It stops with the
/// scope's lifecycle, its metrics are among the service's, and the service's health says when it is stuck. That makes the
/// service degraded and not unready: it still answers requests.
pub fn run(consumer: Consumer, scope: &Scope) {
    scope.metrics.register(|registry| consumer.metrics().register(registry));
    let (progress, stopping) = (consumer.progress(), scope.lifecycle.stopping());
    scope.lifecycle.spawn("consumer", async move {
        consumer.run(stopping).await;
        Ok(())
    });
    scope.health.uses("consumer", move || {
        let outcome = progress.borrow().check(PATIENCE);
        async move { Ok(outcome?) }
    });
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;
    use sea_orm_migration::{MigrationTrait, MigratorTrait};
    use shop_core::events::{EXCHANGE, Event as _, OrderCreated};
    use shop_messaging::{
        Broker, Failure, Message, PublisherOptions, Subscription, in_process::InProcessBroker,
    };

    use super::*;
    use crate::{
        Lifecycle,
        database::{self, Transaction},
    };

    struct Migrator;

    impl MigratorTrait for Migrator {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            shop_outbox::migration::inbox_migrations()
        }
    }

    struct Write;

    impl Handler<Transaction> for Write {
        type Event = OrderCreated;
        const EVENT_TYPE: &'static str = OrderCreated::TYPE;
        const ROUTING_KEY: &'static str = OrderCreated::ROUTING_KEY;

        async fn handle(
            &self,
            transaction: &mut Transaction,
            event: Received<OrderCreated>,
        ) -> Result<Effect, Failure> {
            let insert = format!("INSERT INTO mails VALUES ('{}')", event.payload.customer_email);
            transaction.execute_unprepared(&insert).await.map_err(Failure::retry)?;
            Ok(Effect::done())
        }
    }

    #[tokio::test]
    async fn a_services_consumer_writes_in_its_database_and_is_among_its_metrics_and_its_health() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("mails.db").display()).parse().unwrap();
        let database = database::connect(&url, "mails").await.unwrap();
        database::migrate::<Migrator>(&database).await.unwrap();
        database.execute_unprepared("CREATE TABLE mails (address text)").await.unwrap();

        let (broker, scope) =
            (Broker::from(InProcessBroker::default()), Scope::new("mailer", &Lifecycle::new()));
        let subscription = Subscription {
            ordered: true,
            ..Subscription::new(EXCHANGE, "mailer", [OrderCreated::ROUTING_KEY])
        };
        broker.declare(&subscription).await.unwrap();
        let consumer = Consumer::new(broker.clone(), database.clone(), subscription, Options::default());
        run(consumer.on(Write).unwrap(), &scope);

        let first_form = r#"{"order_id": "0198c0de-0000-7000-8000-000000000001",
            "customer_email": "buyer@example.com", "total_amount": 2500.0}"#;
        let event = Message {
            id: uuid::Uuid::new_v4(),
            kind: OrderCreated::TYPE.to_owned(),
            routing_key: OrderCreated::ROUTING_KEY.to_owned(),
            app_id: "tests".to_owned(),
            timestamp: chrono::DateTime::UNIX_EPOCH,
            headers: Default::default(),
            payload: first_form.into(),
        };
        let mut publisher = broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        publisher.publish(&[event.clone(), event], Duration::from_secs(5)).await.unwrap();
        let counted = |line: &str| scope.metrics.encode().contains(line);
        let handled = r#"consumer_handled_total{queue="mailer",event_type="order_created"} 1"#;
        let duplicate = r#"consumer_duplicates_total{queue="mailer",event_type="order_created"} 1"#;
        while !counted(handled) || !counted(duplicate) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(scope.health.readiness().await.dependencies["consumer"], "ok");
        scope.lifecycle.stop();
        assert_eq!(scope.lifecycle.run().await, std::process::ExitCode::SUCCESS);
    }
}
