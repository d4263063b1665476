//! A broker that dies, freezes or blocks, and a network that swallows: every call ends in time, and nothing that was
//! confirmed is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{
    collections::HashSet,
    fs,
    time::{Duration, Instant},
};

use shop_messaging::{Broker, PublishError, Publisher, PublisherOptions, Subscription, Verdict};
use shop_testing::{Held, Private, Proxy};
use support::{Bus, Consumer, EXCHANGE, Inbox, PATIENCE, accept, eventually, message, messages};
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(1);

/// What a call may take beyond its deadline on a loaded machine.
const LATE: Duration = Duration::from_millis(1500);

fn options() -> PublisherOptions {
    PublisherOptions::new(EXCHANGE, "test")
}

fn orders() -> Subscription {
    Subscription::new(EXCHANGE, "orders", ["#"])
}

/// A broker of the test's own, with the queue `orders`.
async fn private() -> Option<(Private, Broker)> {
    let server = shop_testing::private_rabbitmq().await?;
    let broker = Broker::open(&server.url, None).unwrap();
    broker.declare(&orders()).await.unwrap();
    // RabbitMQ 3.10 writes its list of quorum queues down half a second after a declaration; a queue that a kill makes
    // it forget comes back without a leader, and confirms nothing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Some((server, broker))
}

/// The threads that lapin has in this process, one for each connection.
fn connections() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin-io-loop")).count()
}

async fn no_connection_is_left() {
    eventually("the end of every connection", || async { connections() == 0 }).await;
}

/// Publishes until it works, with whatever error before.
async fn publish_at_last(publisher: &mut Box<dyn Publisher>) -> Vec<Uuid> {
    let started = Instant::now();
    loop {
        let window = messages("order.created", 10);
        match publisher.publish(&window, DEADLINE).await {
            Ok(verdicts) => {
                assert_eq!(verdicts, vec![Verdict::Confirmed; 10]);
                return window.iter().map(|message| message.id).collect();
            }
            Err(error) => assert!(started.elapsed() < 2 * PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_broker_had_confirmed_is_there_when_it_is_back() {
    let Some((server, broker)) = private().await else { return };
    let mut publisher = broker.publisher(options());
    let mut confirmed = HashSet::new();
    let publishing = async {
        loop {
            let window = messages("order.created", 200);
            match publisher.publish(&window, PATIENCE).await {
                Ok(verdicts) => {
                    assert_eq!(verdicts, vec![Verdict::Confirmed; 200]);
                    confirmed.extend(window.iter().map(|message| message.id));
                }
                Err(error) => return error,
            }
        }
    };
    let killing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.kill9().await;
    };
    let (error, ()) = tokio::join!(publishing, killing);
    assert!(matches!(error, PublishError::Disconnected(_)), "{error}");
    let away = publisher.publish(&[message("order.created")], DEADLINE).await;
    assert!(matches!(away, Err(PublishError::Disconnected(_))));

    server.start().await;
    confirmed.extend(publish_at_last(&mut publisher).await);
    assert!(confirmed.len() > 200, "several windows before the end");
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&broker, &orders(), accept(sender));
    while !confirmed.is_empty() {
        confirmed.remove(&inbox.next().await.message.id);
    }
    consumer.stop().await;
    publisher.close().await;
    no_connection_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_ends_a_window_at_its_deadline() {
    let Some((server, broker)) = private().await else { return };
    let mut publisher = broker.publisher(options());
    publisher.ready(PATIENCE).await.unwrap();
    server.freeze().await;
    for _ in 0..3 {
        let started = Instant::now();
        let error = publisher.publish(&messages("order.created", 200), DEADLINE).await.unwrap_err();
        assert!(started.elapsed() < DEADLINE + LATE, "{:?}", started.elapsed());
        // The first had a connection; for the others the broker's kernel still accepts one.
        assert!(matches!(error, PublishError::TimedOut(_) | PublishError::Disconnected(_)), "{error}");
    }
    no_connection_is_left().await;
    server.thaw().await;
    publish_at_last(&mut publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_blocks_publishers_is_told_from_a_slow_one() {
    let Some((server, broker)) = private().await else { return };
    let mut publisher = broker.publisher(options());
    publisher.ready(PATIENCE).await.unwrap();
    server.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
    for _ in 0..2 {
        let started = Instant::now();
        let error = publisher.publish(&messages("order.created", 200), DEADLINE).await.unwrap_err();
        assert!(started.elapsed() < DEADLINE + LATE, "{:?}", started.elapsed());
        assert!(matches!(&error, PublishError::Blocked(why) if why.contains("memory")), "{error}");
    }
    no_connection_is_left().await;
    server.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    publish_at_last(&mut publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_lifted_in_time_only_delays_the_window() {
    let Some((server, broker)) = private().await else { return };
    let mut publisher = broker.publisher(options());
    publisher.ready(PATIENCE).await.unwrap();
    server.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
    let window = messages("order.created", 200);
    let lifting = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    };
    let (verdicts, ()) = tokio::join!(publisher.publish(&window, PATIENCE), lifting);
    assert_eq!(verdicts.unwrap(), vec![Verdict::Confirmed; 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_ends_windows_and_connecting_at_their_deadline() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    bus.broker.declare(&orders()).await.unwrap();
    let (proxy, broker) = behind_a_proxy(&bus).await;
    let mut publisher = broker.publisher(options());
    publish_at_last(&mut publisher).await;

    proxy.hold(Held::Everything);
    let started = Instant::now();
    let error = publisher.publish(&messages("order.created", 200), DEADLINE).await.unwrap_err();
    assert!(matches!(error, PublishError::TimedOut(DEADLINE)), "{error}");
    assert!(started.elapsed() < DEADLINE + LATE, "{:?}", started.elapsed());
    for _ in 0..3 {
        let started = Instant::now();
        let error = publisher.ready(DEADLINE).await.unwrap_err();
        assert!(matches!(error, PublishError::Disconnected(_)), "{error}");
        assert!(started.elapsed() < DEADLINE + LATE, "{:?}", started.elapsed());
    }
    no_connection_is_left().await;

    proxy.hold(Held::Nothing);
    publish_at_last(&mut publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_behind_a_silent_network_falls_after_the_heartbeats() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    let (proxy, broker) = behind_a_proxy(&bus).await;
    let fenced = || PublisherOptions { fence: Some("lock".to_owned()), ..options() };
    let mut first = broker.publisher(fenced());
    first.ready(PATIENCE).await.unwrap();
    proxy.hold(Held::Everything);
    let mut second = bus.broker.publisher(fenced());
    assert!(matches!(second.ready(DEADLINE).await, Err(PublishError::Fenced(_))));
    let started = Instant::now();
    while let Err(error) = second.ready(DEADLINE).await {
        assert!(matches!(error, PublishError::Fenced(_)), "{error}");
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    proxy.hold(Held::Nothing);
    let late = first.publish(&[message("order.created")], DEADLINE).await;
    assert!(late.is_err(), "the paused one publishes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_outlives_its_broker_and_its_network() {
    let Some(bus) = Bus::rabbitmq().await else { return };
    let (proxy, broker) = behind_a_proxy(&bus).await;
    let (sender, mut inbox) = Inbox::new();
    broker.declare(&orders()).await.unwrap();
    let consumer = Consumer::start(&broker, &orders(), accept(sender));
    let mut publisher = bus.broker.publisher(options());
    publish_at_last(&mut publisher).await;
    inbox.take(10).await;

    proxy.hold(Held::Everything);
    publish_at_last(&mut publisher).await;
    // Longer than two heartbeats, after which both ends give the connection up.
    tokio::time::sleep(Duration::from_secs(4)).await;
    proxy.hold(Held::Nothing);
    let delivered: HashSet<_> =
        inbox.take(10).await.into_iter().map(|delivery| delivery.message.id).collect();
    assert_eq!(delivered.len(), 10);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_outlives_a_restart_and_a_stop_ends_its_waiting() {
    let Some((server, broker)) = private().await else { return };
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&broker, &orders(), accept(sender));
    let mut publisher = broker.publisher(options());
    publish_at_last(&mut publisher).await;
    inbox.take(10).await;
    server.kill9().await;
    server.start().await;
    let sent: HashSet<_> = publish_at_last(&mut publisher).await.into_iter().collect();
    let mut missing = sent;
    while !missing.is_empty() {
        missing.remove(&inbox.next().await.message.id);
    }
    server.kill9().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    consumer.stop().await;
}

/// The broker through a network of ours, with heartbeats of a second.
async fn behind_a_proxy(bus: &Bus) -> (Proxy, Broker) {
    let proxy = Proxy::to(&bus.rabbitmq.as_ref().unwrap().url).await;
    let broker = Broker::open(&format!("{}?heartbeat=1", proxy.url()), None).unwrap();
    (proxy, broker)
}
