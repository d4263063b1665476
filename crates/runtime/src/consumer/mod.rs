//! A service that consumes: a [`Consumer`] on its database and its bus, with its metrics, its health and its tools.

mod config;
mod database;
mod failure;
mod tool;

use std::time::Duration;

use shop_outbox::consumer::{Consumer as AnyConsumer, ConsumerMetrics};
pub use shop_outbox::consumer::{Effect, Handler, Misplaced, Options, Received, Trace, Unknown};

pub use self::{
    config::{ConsumerConfig, ConsumerTrace},
    failure::statement_failed,
    tool::{Consumes, Tool},
};
use crate::{Scope, database::Database};

/// A queue and the handlers of what is in it, on a service's database.
pub type Consumer = shop_outbox::consumer::Consumer<Database>;

/// How long a consumer may get nowhere before the service is not as it should be: longer than an attempt and the pause after it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the consumer of a service that has one queue: what is to stay in order comes through one queue. It stops with the scope's
/// lifecycle, its metrics are among the service's, and `consumer` in the service's health says when it is stuck. That makes the
/// service degraded and not unready: it still answers requests.
pub fn run<D: shop_outbox::consumer::Database>(consumer: AnyConsumer<D>, scope: &Scope) {
    scope.metrics.register(|registry| consumer.metrics().register(registry));
    spawn("consumer".to_owned(), consumer, scope);
}

/// Does the same for a service with several queues, which do not wait for one another. Each is `consumer <queue>` in the service's
/// health, and a label `queue` of the metrics.
pub fn run_all<D: shop_outbox::consumer::Database>(
    consumers: impl IntoIterator<Item = AnyConsumer<D>>,
    scope: &Scope,
) {
    let mut metrics: Option<ConsumerMetrics> = None;
    for consumer in consumers {
        let consumer = match &metrics {
            Some(metrics) => consumer.counting_with(metrics),
            None => consumer,
        };
        if metrics.is_none() {
            scope.metrics.register(|registry| consumer.metrics().register(registry));
            metrics = Some(consumer.metrics().clone());
        }
        spawn(format!("consumer {}", consumer.subscription().queue), consumer, scope);
    }
}

fn spawn<D: shop_outbox::consumer::Database>(name: String, consumer: AnyConsumer<D>, scope: &Scope) {
    let (progress, stopping) = (consumer.progress(), scope.lifecycle.stopping());
    scope.lifecycle.spawn("consumer", async move {
        consumer.run(stopping).await;
        Ok(())
    });
    scope.health.uses(name, move || {
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

    const FIRST_FORM: &str = r#"{"order_id": "0198c0de-0000-7000-8000-000000000001",
        "customer_email": "buyer@example.com", "total_amount": 2500.0}"#;

    fn event() -> Message {
        Message {
            id: uuid::Uuid::new_v4(),
            kind: OrderCreated::TYPE.to_owned(),
            routing_key: OrderCreated::ROUTING_KEY.to_owned(),
            app_id: "tests".to_owned(),
            timestamp: chrono::DateTime::UNIX_EPOCH,
            headers: Default::default(),
            payload: FIRST_FORM.into(),
        }
    }

    fn of_queue(queue: &str) -> Subscription {
        Subscription { ordered: true, ..Subscription::new(EXCHANGE, queue, [OrderCreated::ROUTING_KEY]) }
    }

    /// A database with a table for what is written.
    async fn mails(folder: &tempfile::TempDir) -> Database {
        let url = format!("sqlite://{}", folder.path().join("mails.db").display()).parse().unwrap();
        let database = database::connect(&url, "mails").await.unwrap();
        database::migrate::<Migrator>(&database).await.unwrap();
        database.execute_unprepared("CREATE TABLE mails (address text)").await.unwrap();
        database
    }

    async fn until_counted(scope: &Scope, lines: &[&str]) {
        while !lines.iter().all(|line| scope.metrics.encode().contains(line)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_services_consumer_writes_in_its_database_and_is_among_its_metrics_and_its_health() {
        let folder = tempfile::tempdir().unwrap();
        let database = mails(&folder).await;
        let (broker, scope) =
            (Broker::from(InProcessBroker::default()), Scope::new("mailer", &Lifecycle::new()));
        let subscription = Subscription {
            ordered: true,
            ..Subscription::new(EXCHANGE, "mailer", [OrderCreated::ROUTING_KEY])
        };
        broker.declare(&subscription).await.unwrap();
        let consumer = Consumer::new(broker.clone(), database.clone(), subscription, Options::default());
        run(consumer.on(Write).unwrap(), &scope);

        let event = event();
        let mut publisher = broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        publisher.publish(&[event.clone(), event], Duration::from_secs(5)).await.unwrap();
        let handled = r#"consumer_handled_total{queue="mailer",event_type="order_created"} 1"#;
        let duplicate = r#"consumer_duplicates_total{queue="mailer",event_type="order_created"} 1"#;
        until_counted(&scope, &[handled, duplicate]).await;
        assert_eq!(scope.health.readiness().await.dependencies["consumer"], "ok");
        scope.lifecycle.stop();
        assert_eq!(scope.lifecycle.run().await, std::process::ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_service_with_several_queues_names_each_in_its_metrics_and_its_health() {
        let folder = tempfile::tempdir().unwrap();
        let database = mails(&folder).await;
        let (broker, scope) =
            (Broker::from(InProcessBroker::default()), Scope::new("mailer", &Lifecycle::new()));
        let queues = ["mailer", "mailer.post"];
        for queue in queues {
            broker.declare(&of_queue(queue)).await.unwrap();
        }
        let consumer = |queue| {
            let consumer =
                Consumer::new(broker.clone(), database.clone(), of_queue(queue), Options::default());
            consumer.on(Write).unwrap()
        };
        run_all(queues.map(consumer), &scope);

        let before = scope.metrics.encode();
        for queue in queues {
            let zero = format!(r#"consumer_dead_total{{queue="{queue}",event_type="order_created"}} 0"#);
            assert!(before.contains(&zero), "{before}");
        }
        assert_eq!(before.matches("# TYPE consumer_handled ").count(), 1, "{before}");
        let mut publisher = broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        publisher.publish(&[event()], Duration::from_secs(5)).await.unwrap();
        let handled = queues.map(|queue| {
            format!(r#"consumer_handled_total{{queue="{queue}",event_type="order_created"}} 1"#)
        });
        until_counted(&scope, &handled.each_ref().map(String::as_str)).await;
        let dependencies = scope.health.readiness().await.dependencies;
        assert_eq!(dependencies["consumer mailer"], "ok");
        assert_eq!(dependencies["consumer mailer.post"], "ok");
        scope.lifecycle.stop();
        assert_eq!(scope.lifecycle.run().await, std::process::ExitCode::SUCCESS);
    }
}
