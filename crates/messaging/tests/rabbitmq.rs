//! What only RabbitMQ does: its wire form, its ways to refuse, and confirms that overtake each other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use shop_messaging::{
    Broker, EventLog, HeaderValue, Message, PublishError, PublisherOptions, Subscription, Verdict,
};
use support::{Bus, Consumer, EXCHANGE, Inbox, PATIENCE, accept, eventually, message, messages};
use uuid::Uuid;

/// The broker as another client sees it.
struct Bystander {
    channel: Channel,
    _connection: Connection,
}

impl Bystander {
    async fn of(bus: &Bus) -> Self {
        let url = &bus.rabbitmq.as_ref().unwrap().url;
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        Self { channel: connection.create_channel().await.unwrap(), _connection: connection }
    }

    async fn queue(&self, name: &str, pattern: &str, arguments: &[(&str, AMQPValue)]) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        self.channel.queue_declare(name.into(), options, table).await.unwrap();
        let (key, options) = (pattern.into(), QueueBindOptions::default());
        self.channel
            .queue_bind(name.into(), EXCHANGE.into(), key, options, FieldTable::default())
            .await
            .unwrap();
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn options() -> PublisherOptions {
    PublisherOptions::new(EXCHANGE, "test")
}

async fn bus_with_exchange() -> Option<(Bus, Bystander)> {
    let bus = Bus::rabbitmq().await?;
    bus.broker.publisher(options()).ready(PATIENCE).await.unwrap();
    let bystander = Bystander::of(&bus).await;
    Some((bus, bystander))
}

#[tokio::test]
async fn the_wire_form_is_the_documented_one() {
    let Some((bus, bystander)) = bus_with_exchange().await else { return };
    bystander.queue("tester", "order.created", &[]).await;
    let mut sent = message("order.created");
    sent.headers.insert("traceparent".to_owned(), "00-1-2-01".into());
    bus.broker.publisher(options()).publish(std::slice::from_ref(&sent), PATIENCE).await.unwrap();

    let got =
        bystander.channel.basic_get("tester".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    let mut headers = FieldTable::default();
    headers.insert("aggregate_id".into(), text("42"));
    headers.insert("aggregate_version".into(), AMQPValue::LongLongInt(7));
    headers.insert("traceparent".into(), text("00-1-2-01"));
    let expected = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(sent.id.to_string().into())
        .with_type("order_created".into())
        .with_app_id("test".into())
        .with_timestamp(1_700_000_000)
        .with_headers(headers);
    assert_eq!(got.properties, expected);
    assert_eq!(got.data, sent.payload);
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), (EXCHANGE, "order.created"));
}

#[tokio::test]
async fn the_exchange_and_the_event_log_are_durable_and_bounded() {
    let Some((bus, bystander)) = bus_with_exchange().await else { return };
    let logging = PublisherOptions { event_log: Some(EventLog::new("events.log")), ..options() };
    bus.broker.publisher(logging).publish(&messages("a", 3), PATIENCE).await.unwrap();
    // A declaration that differs from what is there fails.
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let (kind, none) = (ExchangeKind::Topic, FieldTable::default());
    bystander.channel.exchange_declare(EXCHANGE.into(), kind, durable, none).await.unwrap();
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-max-length", AMQPValue::LongLongInt(10_000)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(64 << 20)),
        ("x-overflow", text("drop-head")),
    ];
    bystander.queue("events.log", "#", &arguments).await;
}

#[tokio::test]
async fn verdicts_are_told_apart_while_queues_confirm_out_of_order() {
    let Some((bus, bystander)) = bus_with_exchange().await else { return };
    bystander.queue("quorum", "quorum.#", &[("x-queue-type", text("quorum"))]).await;
    bystander.queue("stream", "stream.#", &[("x-queue-type", text("stream"))]).await;
    bystander.queue("classic", "classic.#", &[]).await;
    let full = [("x-max-length", AMQPValue::LongInt(0)), ("x-overflow", text("reject-publish"))];
    bystander.queue("full", "full.#", &full).await;
    let mut publisher = bus.broker.publisher(options());
    let kinds = ["quorum.a", "nowhere.a", "classic.a", "full.a", "stream.a", "nowhere.b", "quorum.b"];
    for round in 0..20 {
        let window: Vec<Message> = (0..300).map(|n| message(kinds[(n * (round + 3) + n / 7) % 7])).collect();
        let verdicts = publisher.publish(&window, PATIENCE).await.unwrap();
        for (message, verdict) in window.iter().zip(verdicts) {
            let expected = match message.routing_key.split('.').next() {
                Some("nowhere") => Verdict::Returned("NO_ROUTE".to_owned()),
                Some("full") => Verdict::Nacked,
                _ => Verdict::Confirmed,
            };
            assert_eq!(verdict, expected, "round {round}, {}", message.routing_key);
        }
    }
}

#[tokio::test]
async fn an_exchange_that_vanishes_closes_the_channel_and_is_declared_anew() {
    let Some((bus, bystander)) = bus_with_exchange().await else { return };
    let mut publisher = bus.broker.publisher(options());
    publisher.ready(PATIENCE).await.unwrap();
    bystander.channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await.unwrap();
    let window = messages("order.created", 200);
    let closed = publisher.publish(&window, PATIENCE).await.unwrap_err();
    assert!(matches!(&closed, PublishError::ExchangeMissing(why) if why.contains("no exchange")), "{closed}");
    let returned = Verdict::Returned("NO_ROUTE".to_owned());
    assert_eq!(publisher.publish(&window, PATIENCE).await.unwrap(), vec![returned; 200]);
}

#[tokio::test]
async fn a_payload_beyond_the_brokers_own_limit_closes_the_channel() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    let mut publisher = bus.broker.publisher(PublisherOptions { max_payload: usize::MAX, ..options() });
    let mut large = message("order.created");
    // One byte more than RabbitMQ 3.10's default; later ones have smaller defaults.
    large.payload = vec![b' '; 128 * 1024 * 1024 + 1].into();
    let closed = publisher.publish(&[large, message("order.created")], PATIENCE).await.unwrap_err();
    assert!(matches!(&closed, PublishError::ChannelClosed(why) if why.contains("message size")), "{closed}");
    let verdicts = publisher.publish(&[message("order.created")], PATIENCE).await.unwrap();
    assert!(matches!(verdicts[..], [Verdict::Returned(_)]));
}

#[tokio::test]
async fn a_broker_that_refuses_the_login_is_away_and_no_password_is_told() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    let url = &bus.rabbitmq.as_ref().unwrap().url;
    let mut url = url::Url::parse(url).unwrap();
    url.set_path("/no-such-vhost");
    let nowhere = Broker::open(url.as_str(), None).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let stranger = Broker::open(url.as_str(), None).unwrap();
    for broker in [nowhere, stranger] {
        let error = broker.publisher(options()).ready(PATIENCE).await.unwrap_err();
        assert!(matches!(error, PublishError::Disconnected(_)), "{error}");
        let shown = format!("{error} {error:?} {broker} {broker:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_double_slash_is_the_root_virtual_host() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    let mut url = url::Url::parse(&bus.rabbitmq.as_ref().unwrap().url).unwrap();
    // There in every virtual host.
    let looking = PublisherOptions { declare_exchange: false, ..PublisherOptions::new("amq.topic", "test") };
    for path in ["//", "/", "", "/%2f"] {
        url.set_path(path);
        let broker = Broker::open(url.as_str(), None).unwrap();
        broker.publisher(looking.clone()).ready(PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn names_that_amqp_cannot_carry_are_errors_and_no_panics() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    let long = "a".repeat(256);
    for options in [
        PublisherOptions::new(long.clone(), "test"),
        PublisherOptions { fence: Some(long.clone()), ..options() },
        PublisherOptions { event_log: Some(EventLog::new(long.clone())), ..options() },
    ] {
        assert!(bus.broker.publisher(options).ready(PATIENCE).await.is_err());
    }
    assert!(bus.broker.declare(&Subscription::new(EXCHANGE, long.clone(), ["#"])).await.is_err());
    assert!(bus.broker.declare(&Subscription::new(EXCHANGE, "orders", [long])).await.is_err());
}

#[tokio::test]
async fn a_message_without_an_id_goes_to_the_dead_letters() {
    let Some((bus, bystander)) = bus_with_exchange().await else { return };
    let orders = Subscription::new(EXCHANGE, "orders", ["#"]);
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    let mut headers = FieldTable::default();
    headers.insert("source".into(), text("elsewhere"));
    headers.insert("flag".into(), AMQPValue::Boolean(true));
    let foreign = BasicProperties::default().with_headers(headers);
    for properties in [foreign.clone(), foreign.with_message_id("17".into())] {
        let options = BasicPublishOptions::default();
        let (exchange, key) = (EXCHANGE.into(), "order.created".into());
        bystander.channel.basic_publish(exchange, key, options, b"{}", properties).await.unwrap();
    }
    let broker = &bus.broker;
    let are_dead = || async move { broker.dead_letters("orders", 9).await.unwrap().len() == 2 };
    eventually("their death", are_dead).await;
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
    let dead = &bus.broker.dead_letters("orders", 9).await.unwrap()[0];
    assert_eq!((dead.message.id, dead.reason.as_str()), (Uuid::nil(), "rejected"));
    assert_eq!(dead.message.routing_key, "order.created");
    let source = HeaderValue::Text("elsewhere".to_owned());
    assert_eq!(dead.message.headers, [("source".to_owned(), source)].into());
}

#[tokio::test]
async fn a_window_given_up_halfway_leaves_no_connection_and_the_next_one_is_whole() {
    let Some((bus, bystander)) = bus_with_exchange().await else { return };
    bystander.queue("quorum", "#", &[("x-queue-type", text("quorum"))]).await;
    let mut publisher =
        bus.broker.publisher(PublisherOptions { fence: Some("lock".to_owned()), ..options() });
    publisher.ready(PATIENCE).await.unwrap();
    for _ in 0..5 {
        let window = messages("order.created", 500);
        let given_up =
            tokio::time::timeout(Duration::from_micros(500), publisher.publish(&window, PATIENCE)).await;
        assert!(given_up.is_err());
    }
    let window = messages("order.created", 100);
    // The fence falls as soon as the broker has seen the old connection's end.
    let published = loop {
        match publisher.publish(&window, PATIENCE).await {
            Err(PublishError::Fenced(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            published => break published,
        }
    };
    assert_eq!(published.unwrap(), vec![Verdict::Confirmed; 100]);
}
