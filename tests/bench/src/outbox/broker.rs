//! The broker's side: one quorum queue behind the exchange, publishing to it with lapin alone, and a consumer that records
//! when each message arrives.

use std::{collections::VecDeque, time::Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;

use super::sizes::{PATIENCE, PAYLOAD};

/// How many messages a consumer may have unacknowledged.
const PREFETCH: u16 = 200;

/// An exchange with one queue that receives everything.
pub(crate) struct Broker {
    connection: Connection,
    channel: Channel,
    exchange: String,
}

impl Broker {
    /// Declares the topic exchange `exchange` and a quorum queue of the same name.
    pub(crate) async fn open(url: &str, exchange: &str) -> anyhow::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let name = ShortString::try_new(exchange)?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name.clone(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut quorum = FieldTable::default();
        quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        channel.queue_declare(name.clone(), durable, quorum).await?;
        let options = QueueBindOptions::default();
        channel.queue_bind(name.clone(), name, "#".into(), options, FieldTable::default()).await?;
        Ok(Self { connection, channel, exchange: exchange.to_owned() })
    }

    fn name(&self) -> ShortString {
        self.exchange.as_str().into()
    }

    /// Empties the queue, and fails unless it held exactly `expected` messages: nothing lost, and nothing twice.
    pub(crate) async fn expect(&self, expected: u32) -> anyhow::Result<()> {
        let found = self.channel.queue_purge(self.name(), QueuePurgeOptions::default()).await?;
        ensure!(found == expected, "{found} messages in the queue, not {expected}");
        Ok(())
    }

    /// A channel with publisher confirms.
    pub(crate) async fn raw(&self) -> anyhow::Result<Raw> {
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Raw { channel, exchange: self.name(), body: payload().into_bytes() })
    }

    /// A consumer of the queue, active as long as the result lives.
    pub(crate) async fn arrivals(&self) -> anyhow::Result<Arrivals> {
        let channel = self.connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (options, tag) = (BasicConsumeOptions::default(), ShortString::default());
        let mut deliveries = channel.basic_consume(self.name(), tag, options, FieldTable::default()).await?;
        let (sender, arrived) = mpsc::unbounded_channel();
        let mut consumer = JoinSet::new();
        consumer.spawn(async move {
            while let Some(Ok(delivery)) = deliveries.next().await {
                let now = Instant::now();
                let id = delivery.properties.message_id().as_ref();
                let id = id.and_then(|id| Uuid::try_parse(id.as_str()).ok()).unwrap_or_default();
                if sender.send((id, now)).is_err() || delivery.ack(BasicAckOptions::default()).await.is_err()
                {
                    break;
                }
            }
        });
        Ok(Arrivals { arrived, _consumer: consumer })
    }
}

/// JSON of the size that all measurements use.
pub(crate) fn payload() -> String {
    let frame = r#"{"order":""}"#.len();
    format!(r#"{{"order":"{}"}}"#, "x".repeat(PAYLOAD - frame))
}

/// Which messages arrived, and when.
pub(crate) struct Arrivals {
    arrived: mpsc::UnboundedReceiver<(Uuid, Instant)>,
    _consumer: JoinSet<()>,
}

impl Arrivals {
    pub(crate) async fn next(&mut self) -> anyhow::Result<(Uuid, Instant)> {
        let next = tokio::time::timeout(PATIENCE, self.arrived.recv()).await;
        next.context("a message does not arrive")?.context("the consumer has ended")
    }

    /// Everything that has arrived since the last call.
    pub(crate) fn so_far(&mut self) -> Vec<(Uuid, Instant)> {
        std::iter::from_fn(|| self.arrived.try_recv().ok()).collect()
    }
}

/// Publishes with lapin and nothing around it: persistent and mandatory, with the outbox's headers.
#[derive(Clone)]
pub(crate) struct Raw {
    channel: Channel,
    exchange: ShortString,
    body: Vec<u8>,
}

impl Raw {
    /// Passes a message to lapin.
    pub(crate) async fn send(&self, id: Uuid) -> lapin::Result<PublisherConfirm> {
        let id = id.hyphenated().to_string();
        let mut headers = FieldTable::default();
        headers.insert("aggregate_type".into(), AMQPValue::LongString("order".into()));
        headers.insert("aggregate_id".into(), AMQPValue::LongString(id.as_str().into()));
        headers.insert("aggregate_version".into(), AMQPValue::LongLongInt(1));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(id.into())
            .with_type("order_created".into())
            .with_app_id("bench".into())
            .with_headers(headers);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.clone(), "order.created".into());
        self.channel.basic_publish(exchange, key, options, &self.body, properties).await
    }

    /// Publishes `count` messages in windows: all messages of a window are confirmed before the next is sent. Returns
    /// how many per second.
    pub(crate) async fn in_windows(&self, count: u32, window: u32) -> anyhow::Result<f64> {
        let started = Instant::now();
        let mut left = count;
        while left > 0 {
            let size = left.min(window);
            let mut sent = Vec::with_capacity(size as usize);
            for _ in 0..size {
                sent.push(self.send(Uuid::new_v4()).await?);
            }
            for confirm in sent {
                expect_ack(&confirm.await?)?;
            }
            left -= size;
        }
        Ok(f64::from(count) / started.elapsed().as_secs_f64())
    }

    /// Publishes `count` messages with `window` always in flight: each confirm makes room for one more.
    pub(crate) async fn sliding(&self, count: u32, window: u32) -> anyhow::Result<f64> {
        let started = Instant::now();
        let mut sent = VecDeque::with_capacity(window as usize);
        for _ in 0..count {
            if sent.len() == window as usize
                && let Some(oldest) = sent.pop_front()
            {
                expect_ack(&oldest.await?)?;
            }
            sent.push_back(self.send(Uuid::new_v4()).await?);
        }
        for confirm in sent {
            expect_ack(&confirm.await?)?;
        }
        Ok(f64::from(count) / started.elapsed().as_secs_f64())
    }
}

pub(crate) fn expect_ack(confirmation: &Confirmation) -> anyhow::Result<()> {
    ensure!(matches!(confirmation, Confirmation::Ack(None)), "not confirmed: {confirmation:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_has_its_size() {
        assert_eq!(payload().len(), PAYLOAD);
        assert!(payload().ends_with("\"}"));
    }
}
