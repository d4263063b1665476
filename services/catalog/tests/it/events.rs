//! Events as order_service publishes them, and those that the catalog announces.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::Value;
use shop_core::{
    Clock, Currency, Money, OrderId, ProductId,
    events::{CancellationCode, EXCHANGE, Event, OrderCancelled, OrderConfirmed, OrderCreated, OrderedItem},
};
use shop_messaging::{HeaderValue, Message, PublisherOptions, Verdict};

use crate::shop::Shop;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn new_order() -> OrderId {
    OrderId(Clock::system().new_id())
}

fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap()
}

/// The order's first event.
pub(crate) fn created(order: OrderId, lines: &[(i64, u32)]) -> Message {
    let item = |&(product, quantity): &(i64, u32)| OrderedItem {
        product_id: ProductId(product),
        quantity,
        price: money(50_000),
        name: "Thing".to_owned(),
    };
    let event = OrderCreated {
        order_id: order,
        customer_email: "buyer@example.com".parse().unwrap(),
        total_amount: money(100_000),
        items: lines.iter().map(item).collect(),
        currency: Currency::RUB,
        language: None,
        sealed_token: None,
    };
    message(order, 1, &event)
}

/// It is paid.
pub(crate) fn confirmed(order: OrderId) -> Message {
    let event = OrderConfirmed {
        order_id: order,
        customer_email: "buyer@example.com".parse().unwrap(),
        total_amount: money(100_000),
        currency: Currency::RUB,
    };
    message(order, 2, &event)
}

/// It is cancelled.
pub(crate) fn cancelled(order: OrderId) -> Message {
    let event = OrderCancelled {
        order_id: order,
        customer_email: "buyer@example.com".parse().unwrap(),
        total_amount: money(100_000),
        reason: "Cancelled by the customer.".to_owned(),
        code: CancellationCode::ByCustomer,
        currency: Currency::RUB,
    };
    message(order, 3, &event)
}

fn message<E: Event>(order: OrderId, version: i64, event: &E) -> Message {
    let clock = Clock::system();
    Message {
        id: clock.new_id(),
        kind: E::TYPE.to_owned(),
        routing_key: E::ROUTING_KEY.to_owned(),
        app_id: "order_service".to_owned(),
        timestamp: clock.now(),
        headers: [
            ("aggregate_id", HeaderValue::from(order.to_string())),
            ("aggregate_version", HeaderValue::from(version)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        payload: serde_json::to_vec(event).unwrap().into(),
    }
}

/// Waits until `check` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let started = Instant::now();
    while !check().await {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Shop {
    /// Publishes `messages`, in this order.
    pub(crate) async fn publish(&self, messages: &[Message]) {
        let mut publisher = self.broker().publisher(PublisherOptions::new(EXCHANGE, "tests"));
        let verdicts = publisher.publish(messages, PATIENCE).await.unwrap();
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Confirmed), "{verdicts:?}");
    }

    /// Publishes `messages`, and waits until all are handled.
    pub(crate) async fn tell(&self, messages: &[Message]) {
        let before = self.inbox().await;
        self.publish(messages).await;
        let all = before + messages.len();
        until("all are handled", || async { self.inbox().await >= all }).await;
    }

    /// How many messages were handled.
    pub(crate) async fn inbox(&self) -> usize {
        let rows = self.rows("SELECT consumer FROM inbox_messages").await;
        rows.len()
    }

    /// The messages that could not be handled.
    pub(crate) async fn dead_letters(&self) -> usize {
        self.broker().dead_letters("catalog", 100).await.unwrap().len()
    }

    /// What was announced, oldest first: event type, routing key, aggregate type, id and version, and the payload.
    pub(crate) async fn announced(&self) -> Vec<(String, String, String, String, i64, Value)> {
        let rows = self
            .rows(
                "SELECT event_type, routing_key, aggregate_type, aggregate_id, aggregate_version, \
                 CAST(payload AS text) AS payload FROM outbox_messages ORDER BY id",
            )
            .await;
        let read = |row: &sea_orm::QueryResult| {
            let text = |column: &str| row.try_get::<String>("", column).unwrap();
            let version = row.try_get("", "aggregate_version").unwrap();
            let payload = serde_json::from_str(&text("payload")).unwrap();
            let [event_type, key, kind, id] =
                ["event_type", "routing_key", "aggregate_type", "aggregate_id"].map(text);
            (event_type, key, kind, id, version, payload)
        };
        rows.iter().map(read).collect()
    }

    /// How many events of this type were announced.
    pub(crate) async fn count_announced(&self, event_type: &str) -> usize {
        self.announced().await.iter().filter(|event| event.0 == event_type).count()
    }

    async fn rows(&self, sql: &str) -> Vec<sea_orm::QueryResult> {
        let statement = Statement::from_string(self.database.get_database_backend(), sql);
        self.database.query_all_raw(statement).await.unwrap()
    }
}
