//! What has to exist on the broker. Declaring is idempotent; a declaration that differs from what is there closes the
//! channel with `PRECONDITION_FAILED`, which names the difference.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::link::short;
use crate::{EventLog, Subscription};

/// More often than anyone reads a dead letter: RabbitMQ 4 drops a message after 20 returns, unless it is configured otherwise.
const DEAD_DELIVERY_LIMIT: i64 = 1_000_000;

/// The queue (and the exchange before it) of what `queue` could not handle.
pub(super) fn dead(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The exchange that leads to `queue` only, whatever the routing key.
pub(super) fn replay(queue: &str) -> String {
    format!("{queue}.replay")
}

/// Declares a durable exchange.
pub(super) async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(short(name)?, kind, options, FieldTable::default()).await
}

/// Fails if there is no exchange `name`, whatever its kind.
pub(super) async fn check_exchange(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(short(name)?, ExchangeKind::Topic, options, FieldTable::default()).await
}

/// Fails if there is no queue `name`, whatever it is like.
pub(super) async fn check_queue(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(short(name)?, options, FieldTable::default()).await?;
    Ok(())
}

/// An exclusive queue: the broker lets one connection have it, until that connection ends.
pub(super) async fn fence(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(short(name)?, options, FieldTable::default()).await?;
    Ok(())
}

/// Declares the log: the latest messages that went through `exchange`.
pub(super) async fn event_log(channel: &Channel, exchange: &str, log: &EventLog) -> lapin::Result<()> {
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-max-length", AMQPValue::LongLongInt(i64::from(log.max_messages))),
        ("x-max-length-bytes", AMQPValue::LongLongInt(i64::try_from(log.max_bytes).unwrap_or(i64::MAX))),
        ("x-overflow", text("drop-head")),
    ];
    queue(channel, &log.name, arguments).await?;
    bind(channel, &log.name, exchange, "#").await
}

/// Declares the consumer's queue, its dead letters, and the way back from there.
pub(super) async fn subscription(channel: &Channel, subscription: &Subscription) -> lapin::Result<()> {
    let Subscription { queue: name, exchange: source, .. } = subscription;
    let (dead, replay) = (dead(name), replay(name));
    exchange(channel, &dead, ExchangeKind::Fanout).await?;
    let arguments =
        [("x-queue-type", text("quorum")), ("x-delivery-limit", AMQPValue::LongLongInt(DEAD_DELIVERY_LIMIT))];
    queue(channel, &dead, arguments).await?;
    bind(channel, &dead, &dead, "").await?;

    let mut arguments = vec![
        ("x-queue-type", text("quorum")),
        // The broker counts the returns that it allows, not the deliveries.
        (
            "x-delivery-limit",
            AMQPValue::LongLongInt(i64::from(subscription.delivery_limit.saturating_sub(1))),
        ),
        ("x-max-length", AMQPValue::LongLongInt(i64::from(subscription.max_length))),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text(&dead)),
        // A dead letter leaves its queue when the queue of the dead has confirmed it.
        ("x-dead-letter-strategy", text("at-least-once")),
    ];
    if subscription.ordered {
        arguments.push(("x-single-active-consumer", AMQPValue::Boolean(true)));
    }
    queue(channel, name, arguments).await?;
    exchange(channel, &replay, ExchangeKind::Fanout).await?;
    bind(channel, name, &replay, "").await?;

    exchange(channel, source, ExchangeKind::Topic).await?;
    for pattern in &subscription.patterns {
        bind(channel, name, source, pattern).await?;
    }
    Ok(())
}

async fn queue(
    channel: &Channel,
    name: &str,
    arguments: impl IntoIterator<Item = (&str, AMQPValue)>,
) -> lapin::Result<()> {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(short(name)?, options, table).await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let (queue, exchange, key) = (short(queue)?, short(exchange)?, short(key)?);
    channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
