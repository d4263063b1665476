//! The shop's events as messages of an outbox.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use serde_json::Error;
use shop_core::{Clock, events::Event};
use shop_messaging::HeaderValue;
use shop_outbox::NewMessage;

/// What an event is about: the aggregate whose events stay in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// The kind of thing, such as `order`.
    pub kind: &'static str,
    /// Its id. What concerns one order has the order's id, so that a consumer handles it in order.
    pub id: String,
    /// Its version after the change.
    pub version: i64,
}

/// The message that announces `event`, to be appended by [`shop_outbox::append`] or [`Effect::announcing`](crate::consumer::Effect).
///
/// Its headers make it a CloudEvent (1.0.2) in binary mode, whose data is the payload (ADR 32): `ce-specversion`, `ce-id` (the
/// message's id), `ce-type`, `ce-source` (`/` and `source`, the name of the service), `ce-subject` (the aggregate's id) and `ce-time`.
/// The attribute `datacontenttype` is the property `content_type`, as in every binding.
///
/// # Errors
/// The payload cannot be written as JSON.
pub fn announcement<E: Event>(
    event: &E,
    aggregate: Aggregate,
    source: &str,
    clock: &Clock,
) -> Result<NewMessage, Error> {
    let (id, created_at) = (clock.new_id(), clock.now());
    let text = |name: &str, value: String| (name.to_owned(), HeaderValue::Text(value));
    let headers = BTreeMap::from([
        text("ce-specversion", "1.0".to_owned()),
        text("ce-id", id.to_string()),
        text("ce-type", E::TYPE.to_owned()),
        text("ce-source", format!("/{source}")),
        text("ce-subject", aggregate.id.clone()),
        text("ce-time", created_at.to_rfc3339_opts(SecondsFormat::Millis, true)),
    ]);
    let Aggregate { kind, id: aggregate_id, version } = aggregate;
    NewMessage {
        id,
        aggregate_type: kind.to_owned(),
        aggregate_id,
        aggregate_version: version,
        event_type: E::TYPE.to_owned(),
        routing_key: E::ROUTING_KEY.to_owned(),
        payload: String::new(),
        headers,
        created_at,
    }
    .with_payload(event)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use sea_orm_migration::{MigrationTrait, MigratorTrait};
    use shop_core::{
        OrderId,
        events::{EXCHANGE, OrderDelivered},
    };
    use shop_messaging::{
        Broker, Delivery, Failure, Message, PublisherOptions, Subscription, in_process::InProcessBroker,
    };
    use shop_outbox::{Options, OutboxMetrics, Publisher, Store};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;
    use url::Url;
    use uuid::Uuid;

    use super::*;
    use crate::database;

    fn announced() -> NewMessage {
        let order_id = OrderId(Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001));
        let event = OrderDelivered { order_id, customer_email: "buyer@example.com".parse().unwrap() };
        let aggregate = Aggregate { kind: "order", id: order_id.to_string(), version: 5 };
        let clock = Clock::manual("2027-01-15T08:00:00.123456Z".parse().unwrap());
        announcement(&event, aggregate, "order_service", &clock).unwrap()
    }

    fn text<'h>(headers: &'h BTreeMap<String, HeaderValue>, name: &str) -> &'h str {
        headers[name].as_text().unwrap()
    }

    /// CloudEvents 1.0.2, section "Context Attributes".
    #[test]
    fn an_announcement_has_the_attributes_of_a_cloudevent() {
        let message = announced();
        let names: Vec<&str> = message.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["ce-id", "ce-source", "ce-specversion", "ce-subject", "ce-time", "ce-type"]);
        for (name, value) in &message.headers {
            let attribute = name.strip_prefix("ce-").unwrap();
            assert!(
                attribute.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
                "{name}"
            );
            assert!(!value.as_text().unwrap().is_empty(), "{name}");
        }
        let headers = &message.headers;
        assert_eq!(text(headers, "ce-specversion"), "1.0");
        assert_eq!(
            text(headers, "ce-id"),
            message.id.to_string(),
            "unique, and so is the pair with the source"
        );
        assert_eq!(text(headers, "ce-type"), message.event_type);
        assert_eq!(text(headers, "ce-subject"), message.aggregate_id);
        assert_eq!(text(headers, "ce-time"), "2027-01-15T08:00:00.123Z");
        let time = DateTime::parse_from_rfc3339(text(headers, "ce-time")).unwrap();
        assert_eq!(time.timestamp_millis(), message.created_at.timestamp_millis());
        // A URI-reference (RFC 3986): nothing in it is escaped when it is resolved.
        let source = Url::parse("https://shop.invalid").unwrap().join(text(headers, "ce-source")).unwrap();
        assert_eq!(source.path(), "/order_service");
    }

    #[test]
    fn every_announcement_has_an_id_of_its_own() {
        assert_ne!(announced().id, announced().id, "even at the same time");
    }

    struct Migrator;

    impl MigratorTrait for Migrator {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            shop_outbox::migration::migrations()
        }
    }

    /// What a subscriber gets of `sent`, from the outbox through `broker`.
    async fn received(sent: &NewMessage, broker: Broker) -> Message {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("orders.db").display());
        let orders = database::connect(&url.parse().unwrap(), "orders").await.unwrap();
        database::migrate::<Migrator>(&orders).await.unwrap();
        shop_outbox::append(&orders, sent).await.unwrap();

        let subscription = Subscription::new(EXCHANGE, "subscriber", ["#"]);
        broker.declare(&subscription).await.unwrap();
        let transport = broker.publisher(PublisherOptions::new(EXCHANGE, "tests"));
        let store = Store::connect(&url, "publisher").await.unwrap();
        let options = Options::new("tests", "order_service");
        let publisher = Publisher::new(store, transport, options, OutboxMetrics::default());
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let handler = move |delivery: Delivery| {
            let _ = arrived.send(delivery.message);
            async { Ok::<_, Failure>(()) }
        };
        let stop = CancellationToken::new();
        let arrival = async {
            let message = tokio::time::timeout(Duration::from_secs(20), arrivals.recv()).await;
            stop.cancel();
            message.expect("it arrives in time").unwrap()
        };
        let consuming = broker.consume(subscription, handler, stop.clone());
        tokio::join!(arrival, consuming, publisher.run(stop.clone())).0
    }

    async fn arrives_as_it_was_announced(broker: Broker) {
        let sent = announced();
        let message = received(&sent, broker).await;
        assert_eq!(message.id, sent.id);
        assert_eq!(message.kind, sent.event_type);
        assert_eq!(message.app_id, "order_service");
        assert_eq!(message.payload, sent.payload.as_bytes());
        let mut expected = sent.headers;
        expected.extend([
            ("aggregate_type".to_owned(), "order".into()),
            ("aggregate_id".to_owned(), sent.aggregate_id.into()),
            ("aggregate_version".to_owned(), 5.into()),
        ]);
        assert_eq!(message.headers, expected);
    }

    #[tokio::test]
    async fn its_attributes_come_through_the_bus_of_the_process_unchanged() {
        arrives_as_it_was_announced(InProcessBroker::default().into()).await;
    }

    #[tokio::test]
    async fn its_attributes_come_through_rabbitmq_unchanged() {
        let Some(rabbitmq) = shop_testing::rabbitmq().await else { return };
        arrives_as_it_was_announced(Broker::open(&rabbitmq.url, None).unwrap()).await;
    }
}
