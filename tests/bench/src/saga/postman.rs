//! Delivers events once more, as a publisher does that crashed between the broker's confirm and its own mark.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer, ExchangeKind,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use shop_testing::Dice;
use tokio::{task::JoinSet, time::sleep};

const EXCHANGE: &str = "shop_events";
/// The postman's own queue, which receives everything.
const QUEUE: &str = "postman";
/// How many messages he may have in his bag.
const PREFETCH: u16 = 100;
/// How many percent of the events he delivers once more.
const AGAIN: u64 = 15;
/// How late he is.
const LATE: (u64, u64) = (0, 400);
const BEFORE_RECONNECT: Duration = Duration::from_millis(500);

/// Delivers until he is dropped.
pub(crate) struct Postman {
    delivered: Arc<AtomicU64>,
    _rounds: JoinSet<()>,
}

impl Postman {
    pub(crate) fn start(url: &str, seed: u64) -> Self {
        let delivered = Arc::<AtomicU64>::default();
        let mut rounds = JoinSet::new();
        let round = Round {
            url: url.to_owned(),
            dice: Dice::new(seed),
            seen: HashSet::new(),
            delivered: Arc::clone(&delivered),
        };
        rounds.spawn(round.again_and_again());
        Self { delivered, _rounds: rounds }
    }

    /// How many events he has delivered once more.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}

struct Round {
    url: String,
    dice: Dice,
    /// What he has delivered himself comes back to him.
    seen: HashSet<String>,
    delivered: Arc<AtomicU64>,
}

impl Round {
    /// The broker is killed now and then.
    async fn again_and_again(mut self) {
        loop {
            let _ = self.deliver().await;
            sleep(BEFORE_RECONNECT).await;
        }
    }

    async fn deliver(&mut self) -> anyhow::Result<()> {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let mut mail = collected(&channel).await?;
        while let Some(delivery) = mail.next().await {
            let delivery = delivery?;
            if self.repeats(&delivery) {
                sleep(self.dice.millis(LATE.0, LATE.1)).await;
                publish(&channel, &delivery).await?;
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            delivery.ack(BasicAckOptions::default()).await?;
        }
        Ok(())
    }

    fn repeats(&mut self, delivery: &Delivery) -> bool {
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
        id.is_some_and(|id| self.seen.insert(id)) && self.dice.chance(AGAIN)
    }
}

async fn collected(channel: &Channel) -> anyhow::Result<Consumer> {
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let topic = ExchangeKind::Topic;
    channel.exchange_declare(EXCHANGE.into(), topic, durable, FieldTable::default()).await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), durable, quorum).await?;
    let bind = QueueBindOptions::default();
    channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "#".into(), bind, FieldTable::default()).await?;
    let consume = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(QUEUE.into(), ShortString::default(), consume, FieldTable::default());
    consumer.await.context("the postman's queue")
}

/// The same message with all of its properties.
async fn publish(channel: &Channel, delivery: &Delivery) -> anyhow::Result<()> {
    let options = BasicPublishOptions::default();
    let key = delivery.routing_key.clone();
    channel.basic_publish(EXCHANGE.into(), key, options, &delivery.data, delivery.properties.clone()).await?;
    Ok(())
}
