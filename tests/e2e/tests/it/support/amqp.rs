use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::{BasicGetMessage, Delivery},
    options::{
        BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};

/// A queue bound to the shop's exchange, to see what arrives: plain AMQP, none of our code.
pub(crate) struct Tap {
    channel: Channel,
    _connection: Connection,
}

const QUEUE: &str = "tap";

impl Tap {
    pub(crate) async fn bind(url: &str, pattern: &str) -> Self {
        let tap = Self::connect(url).await;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let topic = lapin::ExchangeKind::Topic;
        tap.channel
            .exchange_declare("shop_events".into(), topic, durable, FieldTable::default())
            .await
            .unwrap();
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        tap.channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.unwrap();
        tap.channel
            .queue_bind(
                QUEUE.into(),
                "shop_events".into(),
                pattern.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        tap
    }

    /// Connects to a queue that was bound earlier, for instance before the broker was restarted.
    pub(crate) async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { channel, _connection: connection }
    }

    /// Publishes a message to the shop's exchange, as its own publishers do.
    pub(crate) async fn publish(&self, routing_key: &str, kind: &str, id: &str, payload: &[u8]) {
        let properties = BasicProperties::default()
            .with_message_id(id.into())
            .with_type(kind.into())
            .with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let key = routing_key.into();
        let published = self.channel.basic_publish("shop_events".into(), key, options, payload, properties);
        published.await.unwrap().await.unwrap();
    }

    /// Makes a queue that nothing is bound to.
    pub(crate) async fn declare(&self, queue: &str) {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), durable, FieldTable::default()).await.unwrap();
    }

    /// Takes messages until there are `count`, and then any that follow within half a second.
    pub(crate) async fn take(&self, count: usize) -> Vec<BasicGetMessage> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut taken = Vec::new();
        let mut quiet_since = Instant::now();
        while taken.len() < count || quiet_since.elapsed() < Duration::from_millis(500) {
            assert!(Instant::now() < deadline, "only {} of {count} messages arrived", taken.len());
            let options = BasicGetOptions { no_ack: true };
            match self.channel.basic_get(QUEUE.into(), options).await.unwrap() {
                Some(message) => {
                    taken.push(message);
                    quiet_since = Instant::now();
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        taken
    }

    /// How many messages are in the queue.
    pub(crate) async fn depth(&self) -> usize {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(QUEUE.into(), passive, FieldTable::default()).await.unwrap();
        queue.message_count() as usize
    }

    /// Takes everything in the queue. Nobody may be publishing.
    pub(crate) async fn drain(&self) -> Vec<Delivery> {
        let depth = self.depth().await;
        let no_ack = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = self.channel.basic_consume(QUEUE.into(), "".into(), no_ack, FieldTable::default());
        let mut consumer = consumer.await.unwrap();
        let mut all = Vec::with_capacity(depth);
        while all.len() < depth {
            let next = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
            all.push(next.expect("what was counted").unwrap().unwrap());
        }
        self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.unwrap();
        all
    }
}

/// `(order, event type)` of a message.
pub(crate) fn order_and_type(message: &BasicGetMessage) -> (String, String) {
    let payload: serde_json::Value = serde_json::from_slice(&message.delivery.data).unwrap();
    let kind = message.delivery.properties.kind().as_ref().unwrap().to_string();
    (payload["order_id"].as_str().unwrap().to_owned(), kind)
}
