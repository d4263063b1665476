//! A broker, or a network to it, that refuses, blocks, swallows and forgets.

use std::{collections::HashSet, time::Duration};

use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use sea_orm::TransactionTrait as _;
use shop_messaging::{Broker, PublisherOptions};
use shop_testing::{Held, Proxy};
use tokio::time::Instant;

use crate::support::{EXCHANGE, Fixture, Running, message};

/// Plain AMQP, for what our own bus would not do.
struct Amqp {
    channel: Channel,
    _connection: Connection,
}

impl Amqp {
    async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        Self { channel: connection.create_channel().await.unwrap(), _connection: connection }
    }

    async fn declare_exchange(&self) {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let topic = ExchangeKind::Topic;
        let table = FieldTable::default();
        self.channel.exchange_declare(EXCHANGE.into(), topic, durable, table).await.unwrap();
    }

    /// A durable queue for `key`, with `arguments`.
    async fn queue(&self, name: &str, key: &str, arguments: &[(&str, AMQPValue)]) {
        let mut table = FieldTable::default();
        for (argument, value) in arguments {
            table.insert((*argument).into(), value.clone());
        }
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), durable, table).await.unwrap();
        let (options, table) = (QueueBindOptions::default(), FieldTable::default());
        self.channel.queue_bind(name.into(), EXCHANGE.into(), key.into(), options, table).await.unwrap();
    }

    /// Takes `count` messages out of the queue, and no more; their ids.
    async fn take(&self, queue: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut ids = Vec::new();
        while ids.len() < count {
            assert!(Instant::now() < deadline, "only {} of {count} are in {queue}", ids.len());
            match self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap() {
                Some(message) => ids.push(message.properties.message_id().as_ref().unwrap().to_string()),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        ids
    }

    async fn is_empty(&self, queue: &str) -> bool {
        self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: false }).await.unwrap().is_none()
    }
}

/// Appends one event of each of `count` aggregates of its own, all in one transaction.
async fn append_each(fixture: &Fixture, routing_key: &str, count: usize) {
    let transaction = fixture.database.begin().await.unwrap();
    for n in 1..=count {
        let event = message(&format!("{routing_key}-{n}"), 1, routing_key);
        shop_outbox::append(&transaction, &event).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn troubled(running: &mut Running, words: &str) {
    let trouble = running.progress.wait_for(|progress| {
        progress.trouble.as_ref().is_some_and(|trouble| trouble.to_string().contains(words))
    });
    let told = tokio::time::timeout(Duration::from_secs(30), trouble).await.map(drop);
    assert!(told.is_ok(), "no trouble of {words:?}, but {:?}", running.progress.borrow());
}

fn no_row_is_to_blame(rows: &[(String, i32)]) {
    assert!(rows.iter().all(|(_, attempts)| *attempts == 0), "an outage is no row's fault: {rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_loses_nothing_and_what_it_held_back_disturbs_nothing() {
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    let queue = fixture.queue("all", "#").await;
    let network = Proxy::to(&broker.url).await;
    let mut options = Fixture::options("one");
    options.publish_deadline = Duration::from_secs(1);
    let batch_size = options.batch_size;
    let bus = Broker::open(network.url(), None).unwrap();
    let mut running = fixture.run_through(&bus, Fixture::transport(true), options).await;
    fixture.append("a", 1).await;
    fixture.until("sent", 1).await;

    network.hold(Held::Everything);
    for version in 2..=20 {
        fixture.append("a", version).await;
        fixture.append("b", version).await;
    }
    troubled(&mut running, "no confirm within").await;
    troubled(&mut running, "while connecting").await;
    assert_eq!(fixture.count("sent").await, 1, "nothing counts as sent without a confirm");

    network.hold(Held::Nothing);
    fixture.until("sent", 39).await;
    queue.until(39).await;
    running.stop().await;
    queue.assert_ordered();
    assert!(queue.duplicates() <= batch_size);
    no_row_is_to_blame(&fixture.rows().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_blocks_for_longer_than_the_deadline_is_told_of_and_waited_for() {
    let Some(server) = shop_testing::private_rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&server.url).await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut options = Fixture::options("one");
    options.publish_deadline = Duration::from_secs(1);
    let (deadline, batch_size) = (options.publish_deadline, options.batch_size);
    let mut running = fixture.run(options).await;
    fixture.append("a", 1).await;
    fixture.until("sent", 1).await;

    server.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
    for version in 2..=20 {
        fixture.append("a", version).await;
        fixture.append("b", version).await;
    }
    troubled(&mut running, "blocks publishers").await;
    let told = Instant::now();
    while told.elapsed() < 2 * deadline {
        assert!(running.progress.borrow().trouble.is_some(), "still nothing goes out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fixture.count("sent").await, 1);

    server.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    fixture.until("sent", 39).await;
    queue.until(39).await;
    let over = running.progress.wait_for(|progress| progress.trouble.is_none());
    tokio::time::timeout(Duration::from_secs(10), over).await.unwrap().unwrap();
    running.stop().await;
    queue.assert_ordered();
    assert!(queue.duplicates() <= batch_size);
    no_row_is_to_blame(&fixture.rows().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_gets_its_own_verdict_while_queues_confirm_out_of_order() {
    const EACH: usize = 150;
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    let amqp = Amqp::connect(&broker.url).await;
    amqp.declare_exchange().await;
    let text = |text: &str| AMQPValue::LongString(text.into());
    amqp.queue("classic", "to.classic", &[]).await;
    amqp.queue("quorum", "to.quorum", &[("x-queue-type", text("quorum"))]).await;
    let full = [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))];
    amqp.queue("full", "to.full", &full).await;

    // In turn, so that every window has some of each; the one that fills the queue comes first.
    let keys = ["to.full", "to.classic", "to.nobody", "to.quorum"];
    let transaction = fixture.database.begin().await.unwrap();
    shop_outbox::append(&transaction, &message("filler", 1, "to.full")).await.unwrap();
    for n in 0..EACH * keys.len() {
        let event = message(&n.to_string(), 1, keys[n % keys.len()]);
        shop_outbox::append(&transaction, &event).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let mut options = Fixture::options("one");
    options.retry.max_attempts = 2;
    let running = fixture.run_through(&fixture.broker, Fixture::transport(false), options).await;
    fixture.until("dead", 2 * EACH).await;
    fixture.until("sent", 2 * EACH + 1).await;
    running.stop().await;

    for (queue, count) in [("classic", EACH), ("quorum", EACH), ("full", 1)] {
        let ids: HashSet<String> = amqp.take(queue, count).await.into_iter().collect();
        assert_eq!(ids.len(), count, "each once in {queue}");
        assert!(amqp.is_empty(queue).await, "no more than that in {queue}");
    }
    let wrong = "SELECT count(*) FROM outbox_messages WHERE NOT CASE routing_key
                 WHEN 'to.nobody' THEN status = 'dead' AND attempts = 2 AND last_error LIKE '%NO_ROUTE%'
                 WHEN 'to.full' THEN aggregate_id = 'filler'
                                     OR status = 'dead' AND attempts = 2 AND last_error LIKE '%nack%'
                 ELSE status = 'sent' AND attempts = 0 END";
    assert_eq!(fixture.number(wrong).await, 0, "rows with another row's verdict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_full_queue_refuses_are_tried_again_until_there_is_room() {
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    let amqp = Amqp::connect(&broker.url).await;
    amqp.declare_exchange().await;
    let reject = AMQPValue::LongString("reject-publish".into());
    amqp.queue("small", "#", &[("x-max-length", AMQPValue::LongInt(5)), ("x-overflow", reject)]).await;
    append_each(&fixture, "thing.changed", 20).await;
    let mut options = Fixture::options("one");
    options.retry.max_attempts = 10_000;
    let running = fixture.run_through(&fixture.broker, Fixture::transport(false), options).await;

    let again = "SELECT count(*) FROM outbox_messages WHERE status = 'pending' AND attempts >= 3";
    fixture.until_number(again, 15).await;
    let unsaid = "SELECT count(*) FROM outbox_messages
                  WHERE attempts > 0 AND (available_at IS NULL OR last_error NOT LIKE '%nack%')";
    assert_eq!(fixture.number(unsaid).await, 0, "each waits for its time, and says why");
    assert_eq!(fixture.count("sent").await, 5);

    let taken = amqp.take("small", 20).await;
    fixture.until("sent", 20).await;
    running.stop().await;
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 20, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_is_deleted_is_declared_again_with_its_log() {
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    let amqp = Amqp::connect(&broker.url).await;
    let running = fixture.run(Fixture::options("one")).await;
    append_each(&fixture, "thing.before", 10).await;
    fixture.until("sent", 10).await;
    amqp.channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await.unwrap();
    append_each(&fixture, "thing.after", 10).await;
    fixture.until("sent", 20).await;
    // And once more with a single row, which the broker might seem to have minded.
    amqp.channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await.unwrap();
    fixture.append("single", 1).await;
    fixture.until("sent", 21).await;
    running.stop().await;
    no_row_is_to_blame(&fixture.rows().await);
    let ids: HashSet<String> = amqp.take("events.log", 21).await.into_iter().collect();
    assert_eq!(ids.len(), 21, "each in the log");
    assert!(amqp.is_empty("events.log").await, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_others_declare_is_waited_for() {
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    append_each(&fixture, "thing.changed", 10).await;
    let transport = PublisherOptions { declare_exchange: false, ..Fixture::transport(true) };
    let mut running = fixture.run_through(&fixture.broker, transport, Fixture::options("one")).await;
    troubled(&mut running, "NOT_FOUND").await;
    let amqp = Amqp::connect(&broker.url).await;
    amqp.declare_exchange().await;
    fixture.until("sent", 10).await;
    running.stop().await;
    let ids: HashSet<String> = amqp.take("events.log", 10).await.into_iter().collect();
    assert_eq!(ids.len(), 10);
    assert!(amqp.is_empty("events.log").await, "each once");
    no_row_is_to_blame(&fixture.rows().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_larger_than_the_broker_takes_is_found_and_set_aside() {
    let Some(server) = shop_testing::private_rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&server.url).await else { return };
    server.rabbitmqctl(&["eval", "application:set_env(rabbit, max_message_size, 65536)."]).await;
    let queue = fixture.queue("all", "#").await;
    let mut large = message("large", 1, "thing.changed");
    large.payload = format!("\"{}\"", "x".repeat(70_000));
    let transaction = fixture.database.begin().await.unwrap();
    for n in 1..=60 {
        if n == 30 {
            shop_outbox::append(&transaction, &large).await.unwrap();
        }
        shop_outbox::append(&transaction, &message(&format!("a{n}"), 1, "thing.changed")).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let options = Fixture::options("one");
    let batch_size = options.batch_size;
    let running = fixture.run(options).await;
    fixture.until("dead", 1).await;
    fixture.until("sent", 60).await;
    queue.until(60).await;
    running.stop().await;
    assert!(queue.duplicates() <= batch_size);
    let blamed = "SELECT count(*) FROM outbox_messages WHERE attempts > 0
                  AND NOT (aggregate_id = 'large' AND last_error LIKE '%larger than%')";
    assert_eq!(fixture.number(blamed).await, 0, "only the one at fault, and with the reason");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_with_a_header_that_cannot_be_encoded_is_dead_at_once_and_harms_no_other() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut bad = message("bad", 1, "thing.changed");
    bad.headers = [("x".repeat(256), "too long a name".into())].into();
    let transaction = fixture.database.begin().await.unwrap();
    for n in 1..=20 {
        if n == 10 {
            shop_outbox::append(&transaction, &bad).await.unwrap();
        }
        shop_outbox::append(&transaction, &message(&format!("a{n}"), 1, "thing.changed")).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let running = fixture.run(Fixture::options("one")).await;
    fixture.until("sent", 20).await;
    fixture.until("dead", 1).await;
    queue.until(20).await;
    running.stop().await;
    assert_eq!(queue.duplicates(), 0);
    assert_eq!(fixture.rows().await[9], ("dead".to_owned(), 1));
}
