//! Several outboxes, published by one process.
#![expect(clippy::disallowed_methods, reason = "a test ends its own tasks")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use outbox_controller::{Config, DatabaseConfig, OutboxConfig, OutboxController};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use shop_messaging::{Broker, Delivery, Failure, Subscription, in_process::InProcessBroker};
use shop_outbox::NewMessage;
use shop_runtime::{
    Bus, Lifecycle, Scope, Service as _,
    database::{self, Database},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        shop_outbox::migration::migrations()
    }
}

/// The database of a service with an outbox.
async fn service(folder: &Path, schema: &str) -> (DatabaseConfig, Database) {
    let file = folder.join(format!("{schema}.db"));
    let database_url = format!("sqlite://{}", file.display()).parse().unwrap();
    let database = database::connect(&database_url, schema).await.unwrap();
    database::migrate::<Migrator>(&database).await.unwrap();
    (DatabaseConfig { database_url, schema: schema.to_owned() }, database)
}

async fn append(database: &Database, routing_key: &str) -> Uuid {
    let event = NewMessage {
        id: Uuid::new_v4(),
        aggregate_type: "thing".to_owned(),
        aggregate_id: Uuid::new_v4().to_string(),
        aggregate_version: 1,
        event_type: "thing_changed".to_owned(),
        routing_key: routing_key.to_owned(),
        payload: "{}".to_owned(),
        headers: Default::default(),
        created_at: chrono::DateTime::UNIX_EPOCH,
    };
    let event = &event;
    let appended = database.transaction(|transaction| async move {
        shop_outbox::append(&transaction, event).await?;
        transaction.commit().await
    });
    appended.await.unwrap();
    event.id
}

async fn get(address: SocketAddr, path: &str) -> String {
    let client = shop_runtime::client::client().unwrap();
    client.get(format!("http://{address}{path}")).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_outboxes_are_published_by_one_process_and_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (orders, orders_database) = service(folder.path(), "orders").await;
    let (payments, payments_database) = service(folder.path(), "payments").await;
    let broker = Broker::from(InProcessBroker::default());
    let everything = Subscription::new("shop_events", "everything", ["#"]);
    broker.declare(&everything).await.unwrap();

    let lifecycle = Lifecycle::new();
    let scope =
        Scope { bus: Bus::of_process(broker.clone()), ..Scope::new(OutboxController::NAME, &lifecycle) };
    let orders = OutboxConfig::embedded("orders", "order_service", orders);
    let mut payments = OutboxConfig::embedded("payments", "payment_service", payments);
    payments.required_queues = vec!["everything".to_owned(), "mail".to_owned()];
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config::embedded(listen, orders, vec![payments]);
    let address = shop_runtime::start::<OutboxController>(config, scope).await.unwrap();

    let (sender, mut arrived) = mpsc::unbounded_channel();
    let consumer = {
        let (broker, stop) = (broker.clone(), CancellationToken::new());
        tokio::task::spawn(async move {
            let handler = |delivery: Delivery| {
                sender.send(delivery.message).unwrap();
                async { Ok::<_, Failure>(()) }
            };
            broker.consume(everything, handler, stop).await;
        })
    };
    let of_orders = append(&orders_database, "order.created").await;
    let of_payments = append(&payments_database, "payment.processed").await;
    let first = timeout(PATIENCE, arrived.recv()).await.unwrap().unwrap();
    assert_eq!((first.id, first.app_id.as_str()), (of_orders, "order_service"));

    // One of them waits for a queue, and that is said of this one alone.
    let degraded = async {
        while !get(address, "/readyz").await.contains(r#""payments_publishing":"unavailable""#) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, degraded).await.unwrap();
    let health: serde_json::Value = serde_json::from_str(&get(address, "/readyz").await).unwrap();
    assert_eq!(health["status"], "degraded");
    let checks = health["dependencies"].as_object().unwrap();
    let names: BTreeSet<&str> = checks.keys().map(String::as_str).collect();
    let expected =
        ["orders_database", "orders_publishing", "payments_database", "payments_publishing"].into();
    assert_eq!(names, expected);
    assert_eq!(checks["orders_publishing"], "ok");
    let metrics = get(address, "/metrics").await;
    for line in [
        "outbox_published_total{outboxpublisher=\"orders\"} 1",
        "outbox_published_total{outboxpublisher=\"payments\"} 0",
        "outbox_queues_missing{outboxpublisher=\"orders\"} 0",
        "outbox_queues_missing{outboxpublisher=\"payments\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }

    broker.declare(&Subscription::new("shop_events", "mail", ["payment.#"])).await.unwrap();
    let second = timeout(PATIENCE, arrived.recv()).await.unwrap().unwrap();
    assert_eq!((second.id, second.app_id.as_str()), (of_payments, "payment_service"));
    consumer.abort();
    lifecycle.stop();
    lifecycle.run().await;
}
