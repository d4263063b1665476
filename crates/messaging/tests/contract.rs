//! What every event bus must do: the same cases against RabbitMQ and against both buses of the process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use shop_messaging::{
    BrokerError, DeadLetter, Delivery, EventLog, Failure, Handler, Message, PublishError, Publisher,
    PublisherOptions, Subscription, Verdict,
};
use support::{Bus, Consumer, EXCHANGE, Inbox, PATIENCE, accept, eventually, message, messages};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Bus::in_process()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Bus::sqlite().await).await;
            })*
        }
        mod rabbitmq {
            $(#[tokio::test]
            async fn $case() {
                let Some(bus) = super::Bus::rabbitmq().await else { return };
                super::$case(bus).await;
            })*
        }
    };
}

contract! {
    a_message_arrives_as_it_was_sent,
    a_window_is_delivered_in_its_order,
    verdicts_are_in_the_windows_order,
    routing_follows_the_patterns,
    every_queue_gets_its_own_copy,
    consumers_of_one_queue_share_its_messages,
    a_full_queue_refuses,
    an_event_log_makes_everything_routable,
    an_exchange_that_may_not_be_declared_must_be_there,
    a_fence_lets_one_publisher_through,
    nothing_is_published_before_the_required_queues_exist,
    a_failed_message_comes_again_until_it_is_handled,
    a_message_that_always_fails_is_delivered_as_often_as_allowed_and_then_set_aside,
    a_panicking_handler_is_a_failed_one,
    a_rejected_message_is_set_aside_at_once,
    dead_letters_are_looked_at_oldest_first_and_stay,
    replayed_dead_letters_come_back_as_they_were_and_to_their_queue_only,
    a_dead_letter_is_shown_by_its_id_and_stays,
    one_dead_letter_is_replayed_and_the_others_stay,
    one_dead_letter_is_discarded_and_the_others_stay,
    what_a_dead_consumer_had_is_delivered_again,
    a_stopping_consumer_finishes_what_it_has,
    a_stopping_consumer_does_not_wait_out_a_pause,
    no_more_is_handled_at_once_than_asked_for,
    the_dead_letters_of_no_queue_are_an_error,
    what_is_away_costs_no_attempt,
    a_handler_is_told_when_it_consumes,
    of_an_aggregates_messages_one_is_handled_at_a_time_and_in_order,
    a_message_that_is_tried_again_is_not_overtaken_by_the_next_of_its_aggregate,
    an_ordered_message_that_always_fails_is_set_aside_and_the_next_follows,
    an_ordered_queue_has_one_active_consumer,
    what_a_dead_ordered_consumer_had_comes_again_in_order,
    an_ordered_consumer_is_succeeded_when_it_has_finished,
    what_a_stopping_ordered_consumer_could_not_handle_goes_to_the_next_in_order,
}

fn subscription(queue: &str, pattern: &str) -> Subscription {
    Subscription::new(EXCHANGE, queue, [pattern])
}

fn options() -> PublisherOptions {
    PublisherOptions::new(EXCHANGE, "test")
}

async fn publish(publisher: &mut Box<dyn Publisher>, keys: &[&str]) -> Vec<Verdict> {
    let window: Vec<_> = keys.iter().map(|key| message(key)).collect();
    publisher.publish(&window, PATIENCE).await.unwrap()
}

async fn a_message_arrives_as_it_was_sent(bus: Bus) {
    let orders = subscription("orders", "order.created");
    bus.broker.declare(&orders).await.unwrap();
    let mut sent = message("order.created");
    sent.headers.insert("tracestate".to_owned(), "vendor=значение".into());
    sent.headers.insert("aggregate_version".to_owned(), i64::MIN.into());
    // More than a frame of payload, and nearly as much of headers as there may be, which have to fit into one.
    sent.payload = vec![b'p'; 300_000].into();
    sent.headers.insert("baggage".to_owned(), "b".repeat(32_000).as_str().into());
    let mut empty = message("order.created");
    empty.payload = bytes::Bytes::new();
    let window = [sent, empty];
    let verdicts = bus.broker.publisher(options()).publish(&window, PATIENCE).await.unwrap();
    assert_eq!(verdicts, [Verdict::Confirmed, Verdict::Confirmed]);

    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    for message in window {
        assert_eq!(inbox.next().await, Delivery { message, attempt: 1 });
    }
    consumer.stop().await;
}

async fn a_window_is_delivered_in_its_order(bus: Bus) {
    let orders = Subscription { concurrency: 1, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    let window = messages("order.created", 300);
    bus.broker.publisher(options()).publish(&window, PATIENCE).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    let delivered: Vec<_> = inbox.take(300).await.into_iter().map(|delivery| delivery.message.id).collect();
    assert_eq!(delivered, window.iter().map(|message| message.id).collect::<Vec<_>>());
    consumer.stop().await;
}

async fn verdicts_are_in_the_windows_order(bus: Bus) {
    bus.broker.declare(&subscription("orders", "order.*")).await.unwrap();
    let mut publisher = bus.broker.publisher(PublisherOptions { max_payload: 100, ..options() });
    let mut window: Vec<_> =
        ["order.created", "nobody.cares", "order.a", "order.b", "order.c", "order.d"].map(message).into();
    window[2].payload = vec![b' '; 101].into();
    window[3].kind = "k".repeat(256);
    window[4].headers.insert("h".repeat(256), 1.into());
    let verdicts = publisher.publish(&window, PATIENCE).await.unwrap();
    let reason = |index: usize| match &verdicts[index] {
        Verdict::Refused(reason) | Verdict::Returned(reason) => reason.as_str(),
        other => panic!("{index}: {other:?}"),
    };
    assert_eq!((&verdicts[0], &verdicts[5]), (&Verdict::Confirmed, &Verdict::Confirmed));
    assert!(matches!(verdicts[1], Verdict::Returned(_)));
    assert_eq!(reason(1), "NO_ROUTE");
    assert_eq!(reason(2), "the payload has 101 bytes, more than 100");
    assert_eq!(reason(3), "the type has 256 bytes, more than 255");
    assert_eq!(reason(4), "a header's name has 256 bytes, more than 255");
    assert!(publisher.publish(&[], PATIENCE).await.unwrap().is_empty());
}

async fn routing_follows_the_patterns(bus: Bus) {
    let keys =
        ["", "order", "order.", ".", "order.created", "order.item.created", "created", "Order.created"];
    let patterns =
        ["", "#", "*", "*.*", "order.#", "order.*", "#.created", "*.#.*", "order.created", "#.item.#"];
    for (number, pattern) in patterns.iter().enumerate() {
        bus.broker.declare(&subscription(&format!("q{number}"), pattern)).await.unwrap();
    }
    publish(&mut bus.broker.publisher(options()), &keys).await;
    let mut routed = BTreeMap::new();
    for (number, pattern) in patterns.iter().enumerate() {
        let (sender, mut inbox) = Inbox::new();
        let queue = Subscription { concurrency: 1, ..subscription(&format!("q{number}"), pattern) };
        let consumer = Consumer::start(&bus.broker, &queue, accept(sender));
        let expected: Vec<&str> = expected_keys(pattern, &keys);
        let delivered = inbox.take(expected.len()).await;
        let delivered: Vec<_> = delivered.into_iter().map(|delivery| delivery.message.routing_key).collect();
        assert_eq!(delivered, expected, "{pattern:?}");
        routed.insert(pattern, inbox);
        consumer.stop().await;
    }
}

/// Written down, so that all backends are held to it and not to each other.
fn expected_keys<'a>(pattern: &str, keys: &[&'a str; 8]) -> Vec<&'a str> {
    let indexes: &[usize] = match pattern {
        "" => &[0],
        "#" => &[0, 1, 2, 3, 4, 5, 6, 7],
        "*" => &[1, 6],
        "*.*" => &[2, 3, 4, 7],
        "order.#" => &[1, 2, 4, 5],
        "order.*" => &[2, 4],
        "#.created" => &[4, 5, 6, 7],
        "*.#.*" => &[2, 3, 4, 5, 7],
        "order.created" => &[4],
        "#.item.#" => &[5],
        other => panic!("{other:?}"),
    };
    indexes.iter().map(|&index| keys[index]).collect()
}

async fn every_queue_gets_its_own_copy(bus: Bus) {
    let mut inboxes = Vec::new();
    for queue in ["payment", "notification"] {
        let subscription = Subscription::new(EXCHANGE, queue, ["order.*", "order.created"]);
        bus.broker.declare(&subscription).await.unwrap();
        let (sender, inbox) = Inbox::new();
        inboxes.push((Consumer::start(&bus.broker, &subscription, accept(sender)), inbox));
    }
    publish(&mut bus.broker.publisher(options()), &["order.created"]).await;
    for (consumer, mut inbox) in inboxes {
        inbox.next().await;
        assert!(inbox.is_quiet().await, "two patterns that match are one copy");
        consumer.stop().await;
    }
}

async fn consumers_of_one_queue_share_its_messages(bus: Bus) {
    let orders = subscription("orders", "#");
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let consumers: Vec<_> =
        (0..3).map(|_| Consumer::start(&bus.broker, &orders, accept(sender.clone()))).collect();
    let publishing = (0..4).map(|_| async {
        let window = messages("order.created", 50);
        bus.broker.publisher(options()).publish(&window, PATIENCE).await.unwrap();
        window
    });
    let sent = futures_util::future::join_all(publishing).await.concat();
    let delivered: HashSet<_> =
        inbox.take(200).await.into_iter().map(|delivery| delivery.message.id).collect();
    assert_eq!(delivered, sent.iter().map(|message| message.id).collect());
    assert!(inbox.is_quiet().await);
    for consumer in consumers {
        consumer.stop().await;
    }
}

async fn a_full_queue_refuses(bus: Bus) {
    bus.broker.declare(&Subscription { max_length: 5, ..subscription("small", "#") }).await.unwrap();
    let mut publisher = bus.broker.publisher(options());
    let mut nacked = false;
    // RabbitMQ lets a few more in than it was told.
    for _ in 0..50 {
        nacked |= publish(&mut publisher, &["order.created"]).await == [Verdict::Nacked];
    }
    assert!(nacked);
    assert_eq!(publish(&mut publisher, &["order.created"]).await, [Verdict::Nacked]);
}

async fn an_event_log_makes_everything_routable(bus: Bus) {
    let mut bare = bus.broker.publisher(options());
    assert!(matches!(publish(&mut bare, &["order.created"]).await[..], [Verdict::Returned(_)]));
    let logged = PublisherOptions { event_log: Some(EventLog::new("events.log")), ..options() };
    let mut logging = bus.broker.publisher(logged);
    assert_eq!(publish(&mut logging, &["order.created", "x", ""]).await, vec![Verdict::Confirmed; 3]);
    assert_eq!(publish(&mut bare, &["order.created"]).await, [Verdict::Confirmed]);
}

async fn an_exchange_that_may_not_be_declared_must_be_there(bus: Bus) {
    let checking = PublisherOptions { declare_exchange: false, ..options() };
    let mut publisher = bus.broker.publisher(checking);
    let missing = publisher.ready(PATIENCE).await.unwrap_err();
    assert!(
        matches!(&missing, PublishError::ExchangeMissing(why) if why.contains("no exchange")),
        "{missing}"
    );
    bus.broker.declare(&subscription("orders", "#")).await.unwrap();
    publisher.ready(PATIENCE).await.unwrap();
    assert_eq!(publish(&mut publisher, &["order.created"]).await, [Verdict::Confirmed]);
}

async fn a_fence_lets_one_publisher_through(bus: Bus) {
    let fenced = || PublisherOptions { fence: Some("publisher.lock".to_owned()), ..options() };
    let mut first = bus.broker.publisher(fenced());
    let mut second = bus.broker.publisher(fenced());
    first.ready(PATIENCE).await.unwrap();
    let refused = second.publish(&[message("order.created")], PATIENCE).await;
    assert!(matches!(refused, Err(PublishError::Fenced(name)) if name == "publisher.lock"));

    first.close().await;
    second.ready(PATIENCE).await.unwrap();
    assert!(matches!(first.ready(PATIENCE).await, Err(PublishError::Fenced(_))));

    drop(second);
    let taking_over = async {
        while let Err(error) = first.ready(PATIENCE).await {
            assert!(matches!(error, PublishError::Fenced(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, taking_over).await.expect("the dropped one lets go");
}

async fn nothing_is_published_before_the_required_queues_exist(bus: Bus) {
    let required_queues = vec!["stock".to_owned(), "payment".to_owned(), "mail".to_owned()];
    let log = Some(EventLog::new("events.log"));
    let mut publisher =
        bus.broker.publisher(PublisherOptions { required_queues, event_log: log, ..options() });
    let missing = async |publisher: &mut Box<dyn Publisher>| match publisher.ready(PATIENCE).await {
        Err(PublishError::QueuesMissing(queues)) => queues,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&mut publisher).await, ["stock", "payment", "mail"]);
    bus.broker.declare(&subscription("payment", "#")).await.unwrap();
    assert_eq!(missing(&mut publisher).await, ["stock", "mail"]);
    let refused = publisher.publish(&[message("order.created")], PATIENCE).await.unwrap_err();
    assert_eq!(refused.to_string(), "required queues are missing at the broker: stock, mail");

    bus.broker.declare(&subscription("stock", "#")).await.unwrap();
    bus.broker.declare(&subscription("mail", "#")).await.unwrap();
    publisher.ready(PATIENCE).await.unwrap();
    let sent = message("order.created");
    publisher.publish(std::slice::from_ref(&sent), PATIENCE).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &subscription("payment", "#"), accept(sender));
    assert_eq!(inbox.next().await.message, sent, "and what was refused is not there");
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
}

async fn a_failed_message_comes_again_until_it_is_handled(bus: Bus) {
    let orders = subscription("orders", "#");
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let third_time = move |delivery: Delivery| {
        let attempt = delivery.attempt;
        sender.send(delivery).unwrap();
        async move { if attempt < 3 { Err(Failure::retry("not yet")) } else { Ok(()) } }
    };
    let consumer = Consumer::start(&bus.broker, &orders, third_time);
    publish(&mut bus.broker.publisher(options()), &["order.created"]).await;
    let attempts: Vec<_> = inbox.take(3).await.into_iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
    assert!(bus.broker.dead_letters("orders", 10).await.unwrap().is_empty());
}

async fn a_message_that_always_fails_is_delivered_as_often_as_allowed_and_then_set_aside(bus: Bus) {
    let orders = Subscription { delivery_limit: 3, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let never = move |delivery: Delivery| {
        sender.send(delivery).unwrap();
        async { Err(Failure::retry("never")) }
    };
    let consumer = Consumer::start(&bus.broker, &orders, never);
    let sent = message("order.created");
    bus.broker.publisher(options()).publish(std::slice::from_ref(&sent), PATIENCE).await.unwrap();
    inbox.take(3).await;
    let broker = &bus.broker;
    let is_dead = || async move { !broker.dead_letters("orders", 1).await.unwrap().is_empty() };
    eventually("death", is_dead).await;
    assert!(inbox.is_quiet().await);
    let dead = &bus.broker.dead_letters("orders", 10).await.unwrap()[0];
    assert_eq!((&dead.message, dead.reason.as_str()), (&sent, "delivery_limit"));
    consumer.stop().await;
}

async fn a_panicking_handler_is_a_failed_one(bus: Bus) {
    let orders = subscription("orders", "#");
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let panicking = move |delivery: Delivery| {
        let first = delivery.attempt == 1;
        sender.send(delivery).unwrap();
        async move {
            assert!(!first, "as the test wants");
            Ok(())
        }
    };
    let consumer = Consumer::start(&bus.broker, &orders, panicking);
    publish(&mut bus.broker.publisher(options()), &["order.created"]).await;
    assert_eq!(inbox.take(2).await[1].attempt, 2);
    consumer.stop().await;
}

/// Rejects what is not JSON, as every handler will.
async fn read(delivery: Delivery) -> Result<(), Failure> {
    delivery.json::<serde_json::Value>().map(drop)
}

async fn a_rejected_message_is_set_aside_at_once(bus: Bus) {
    let orders = subscription("orders", "#");
    bus.broker.declare(&orders).await.unwrap();
    let consumer = Consumer::start(&bus.broker, &orders, read);
    let mut broken = message("order.created");
    broken.payload = "{".into();
    bus.broker.publisher(options()).publish(std::slice::from_ref(&broken), PATIENCE).await.unwrap();
    let broker = &bus.broker;
    let is_dead = || async move { !broker.dead_letters("orders", 1).await.unwrap().is_empty() };
    eventually("death", is_dead).await;
    let dead = bus.broker.dead_letters("orders", 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].message, dead[0].reason.as_str()), (&broken, "rejected"));
    consumer.stop().await;
}

async fn rejected(bus: &Bus, subscription: &Subscription, keys: &[&str]) {
    let refusing = Consumer::start(&bus.broker, subscription, |_| async { Err(Failure::reject("all")) });
    publish(&mut bus.broker.publisher(options()), keys).await;
    let (broker, queue, count) = (&bus.broker, &subscription.queue, keys.len());
    let are_dead = || async move { broker.dead_letters(queue, count).await.unwrap().len() == count };
    eventually("their death", are_dead).await;
    refusing.stop().await;
}

async fn dead_letters_are_looked_at_oldest_first_and_stay(bus: Bus) {
    let orders = Subscription { concurrency: 1, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    rejected(&bus, &orders, &["a", "b", "c", "d"]).await;
    let keys = async |limit| {
        let looked_at = bus.broker.dead_letters("orders", limit).await.unwrap();
        looked_at.into_iter().map(|dead| dead.message.routing_key).collect::<Vec<_>>()
    };
    assert!(keys(0).await.is_empty());
    assert_eq!(keys(9).await, ["a", "b", "c", "d"]);
    assert_eq!(keys(4).await, ["a", "b", "c", "d"]);
    assert_eq!(keys(2).await, ["a", "b"]);
    let mut all = keys(9).await;
    all.sort();
    assert_eq!(all, ["a", "b", "c", "d"]);
}

async fn replayed_dead_letters_come_back_as_they_were_and_to_their_queue_only(bus: Bus) {
    let (orders, others) = (subscription("orders", "#"), subscription("others", "#"));
    bus.broker.declare(&orders).await.unwrap();
    rejected(&bus, &orders, &["a", "b", "c"]).await;
    bus.broker.declare(&others).await.unwrap();
    let dead = bus.broker.dead_letters("orders", 9).await.unwrap();

    assert_eq!(bus.broker.replay_dead_letters("orders", 2).await.unwrap(), 2);
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    let mut delivered = inbox.take(2).await;
    delivered.sort_by_key(|delivery| delivery.message.routing_key.clone());
    for (delivery, dead) in delivered.iter().zip(&dead) {
        assert_eq!(delivery, &Delivery { message: dead.message.clone(), attempt: 1 });
    }
    assert_eq!(bus.broker.dead_letters("orders", 9).await.unwrap(), dead[2..]);
    assert_eq!(bus.broker.replay_dead_letters("orders", 9).await.unwrap(), 1);
    inbox.next().await;
    assert_eq!(bus.broker.replay_dead_letters("orders", 9).await.unwrap(), 0);
    consumer.stop().await;

    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &others, accept(sender));
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
}

/// Four dead letters of the queue `orders`, the oldest first.
async fn four_dead_letters(bus: &Bus) -> Vec<DeadLetter> {
    let orders = Subscription { concurrency: 1, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    rejected(bus, &orders, &["a", "b", "c", "d"]).await;
    bus.broker.dead_letters("orders", 9).await.unwrap()
}

/// The routing keys of what is dead, in alphabetical order.
async fn dead_keys(bus: &Bus) -> Vec<String> {
    let dead = bus.broker.dead_letters("orders", 9).await.unwrap();
    let mut keys: Vec<_> = dead.into_iter().map(|dead| dead.message.routing_key).collect();
    keys.sort();
    keys
}

async fn a_dead_letter_is_shown_by_its_id_and_stays(bus: Bus) {
    let dead = four_dead_letters(&bus).await;
    for letter in [&dead[2], &dead[0], &dead[3], &dead[2]] {
        let shown = bus.broker.dead_letter("orders", letter.message.id).await.unwrap();
        assert_eq!(shown.as_ref(), Some(letter));
    }
    assert_eq!(bus.broker.dead_letter("orders", uuid::Uuid::new_v4()).await.unwrap(), None);
    assert_eq!(dead_keys(&bus).await, ["a", "b", "c", "d"]);
}

async fn one_dead_letter_is_replayed_and_the_others_stay(bus: Bus) {
    let dead = four_dead_letters(&bus).await;
    let id = dead[2].message.id;
    assert!(bus.broker.replay_dead_letter("orders", id).await.unwrap());
    assert!(!bus.broker.replay_dead_letter("orders", id).await.unwrap(), "it is not dead");
    assert_eq!(dead_keys(&bus).await, ["a", "b", "d"]);
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &subscription("orders", "#"), accept(sender));
    assert_eq!(inbox.next().await, Delivery { message: dead[2].message.clone(), attempt: 1 });
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
}

async fn one_dead_letter_is_discarded_and_the_others_stay(bus: Bus) {
    let dead = four_dead_letters(&bus).await;
    let id = dead[1].message.id;
    assert!(bus.broker.discard_dead_letter("orders", id).await.unwrap());
    assert!(!bus.broker.discard_dead_letter("orders", id).await.unwrap(), "it is gone");
    assert_eq!(dead_keys(&bus).await, ["a", "c", "d"]);
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &subscription("orders", "#"), accept(sender));
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
}

async fn what_a_dead_consumer_had_is_delivered_again(bus: Bus) {
    let orders = subscription("orders", "#");
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let stuck = move |delivery: Delivery| {
        sender.send(delivery).unwrap();
        std::future::pending()
    };
    let consumer = Consumer::start(&bus.broker, &orders, stuck);
    publish(&mut bus.broker.publisher(options()), &["order.created"]).await;
    let first = inbox.next().await;
    drop(consumer);

    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    let second = inbox.next().await;
    assert_eq!((second.message, second.attempt), (first.message, 2));
    consumer.stop().await;
}

async fn a_stopping_consumer_finishes_what_it_has(bus: Bus) {
    let orders = Subscription { concurrency: 2, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let finish = Arc::new(Notify::new());
    let slow = {
        let finish = finish.clone();
        move |delivery: Delivery| {
            sender.send(delivery).unwrap();
            let finish = finish.clone();
            async move {
                finish.notified().await;
                Ok(())
            }
        }
    };
    let consumer = Consumer::start(&bus.broker, &orders, slow);
    publish(&mut bus.broker.publisher(options()), &["a", "b", "c", "d"]).await;
    inbox.take(2).await;
    let stopped = consumer.stop();
    let finishing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        finish.notify_waiters();
    };
    tokio::join!(stopped, finishing);

    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    let rest = inbox.take(2).await;
    let mut rest: Vec<_> =
        rest.iter().map(|delivery| (delivery.message.routing_key.as_str(), delivery.attempt)).collect();
    rest.sort_unstable();
    assert_eq!(rest, [("c", 1), ("d", 1)]);
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
}

async fn a_stopping_consumer_does_not_wait_out_a_pause(bus: Bus) {
    let orders = Subscription { delivery_limit: 100, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let never = move |delivery: Delivery| {
        sender.send(delivery).unwrap();
        async { Err(Failure::retry("never")) }
    };
    let consumer = Consumer::start(&bus.broker, &orders, never);
    publish(&mut bus.broker.publisher(options()), &["order.created"]).await;
    // The pause after the fourth attempt is at least 0.8 seconds.
    inbox.take(4).await;
    timeout(Duration::from_millis(700), consumer.stop()).await.expect("no pause");

    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    assert_eq!(inbox.next().await.attempt, 5);
    consumer.stop().await;
}

async fn no_more_is_handled_at_once_than_asked_for(bus: Bus) {
    let orders = Subscription { concurrency: 3, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    bus.broker.publisher(options()).publish(&messages("a", 30), PATIENCE).await.unwrap();
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (sender, mut inbox) = Inbox::new();
    let counting = {
        let (running, most) = (running.clone(), most.clone());
        move |delivery: Delivery| {
            let (running, most, sender) = (running.clone(), most.clone(), sender.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                sender.send(delivery).unwrap();
                Ok(())
            }
        }
    };
    let consumer = Consumer::start(&bus.broker, &orders, counting);
    inbox.take(30).await;
    consumer.stop().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

async fn the_dead_letters_of_no_queue_are_an_error(bus: Bus) {
    let missing = bus.broker.dead_letters("nowhere", 1).await;
    assert!(matches!(missing, Err(BrokerError::Refused(why)) if why.contains("no queue")));
    assert!(matches!(bus.broker.replay_dead_letters("nowhere", 1).await, Err(BrokerError::Refused(_))));
    let id = uuid::Uuid::new_v4();
    assert!(matches!(bus.broker.dead_letter("nowhere", id).await, Err(BrokerError::Refused(_))));
    assert!(matches!(bus.broker.replay_dead_letter("nowhere", id).await, Err(BrokerError::Refused(_))));
    assert!(matches!(bus.broker.discard_dead_letter("nowhere", id).await, Err(BrokerError::Refused(_))));
}

async fn what_is_away_costs_no_attempt(bus: Bus) {
    let orders = Subscription { delivery_limit: 2, ..subscription("orders", "#") };
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let calls = Arc::new(AtomicU32::new(0));
    let fourth_time = move |delivery: Delivery| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        sender.send(delivery).unwrap();
        async move { if call < 3 { Err(Failure::away("the database")) } else { Ok(()) } }
    };
    let consumer = Consumer::start(&bus.broker, &orders, fourth_time);
    publish(&mut bus.broker.publisher(options()), &["order.created"]).await;
    let attempts: Vec<_> = inbox.take(4).await.into_iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(attempts, [1; 4]);
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
    assert!(bus.broker.dead_letters("orders", 10).await.unwrap().is_empty());
}

async fn a_handler_is_told_when_it_consumes(bus: Bus) {
    struct Told(mpsc::UnboundedSender<bool>);
    #[async_trait::async_trait]
    impl Handler for Told {
        async fn handle(&self, _: Delivery) -> Result<(), Failure> {
            Ok(())
        }
        fn consuming(&self) {
            self.0.send(true).unwrap();
        }
        fn not_consuming(&self, _: &str) {
            self.0.send(false).unwrap();
        }
    }
    let (sender, mut told) = mpsc::unbounded_channel();
    let consumer = Consumer::start(&bus.broker, &subscription("orders", "#"), Told(sender));
    assert_eq!(timeout(PATIENCE, told.recv()).await.unwrap(), Some(true));
    consumer.stop().await;
    assert_eq!(told.recv().await, None, "stopping is no trouble");
}

fn ordered(queue: &str) -> Subscription {
    Subscription { ordered: true, ..subscription(queue, "#") }
}

/// Version after version of one aggregate, each a message `aggregate.version`.
fn history(aggregate: &str, versions: std::ops::RangeInclusive<u32>) -> Vec<Message> {
    let version = |version| {
        let mut message = message(&format!("{aggregate}.{version}"));
        message.headers.insert("aggregate_id".to_owned(), aggregate.into());
        message
    };
    versions.map(version).collect()
}

async fn send(bus: &Bus, messages: &[Message]) {
    let verdicts = bus.broker.publisher(options()).publish(messages, PATIENCE).await.unwrap();
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Confirmed));
}

/// The messages' names, with the attempts.
fn names(deliveries: &[Delivery]) -> Vec<(&str, u32)> {
    deliveries.iter().map(|delivery| (delivery.message.routing_key.as_str(), delivery.attempt)).collect()
}

async fn of_an_aggregates_messages_one_is_handled_at_a_time_and_in_order(bus: Bus) {
    let orders = ordered("orders");
    bus.broker.declare(&orders).await.unwrap();
    send(&bus, &[history("a", 1..=3), history("b", 1..=2)].concat()).await;
    let (sender, mut inbox) = Inbox::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let gated = {
        let gate = gate.clone();
        move |delivery: Delivery| {
            sender.send(delivery).unwrap();
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    };
    let consumer = Consumer::start(&bus.broker, &orders, gated);
    let mut seen = inbox.take(2).await;
    assert!(inbox.is_quiet().await, "the next of each waits");
    assert_eq!(names(&seen), [("a.1", 1), ("b.1", 1)], "and the aggregates do not wait for each other");
    gate.add_permits(5);
    seen.extend(inbox.take(3).await);
    let of = |aggregate: &str| {
        names(&seen)
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with(aggregate))
            .collect::<Vec<_>>()
    };
    assert_eq!((of("a"), of("b")), (vec!["a.1", "a.2", "a.3"], vec!["b.1", "b.2"]));
    consumer.stop().await;
}

async fn a_message_that_is_tried_again_is_not_overtaken_by_the_next_of_its_aggregate(bus: Bus) {
    let orders = ordered("orders");
    bus.broker.declare(&orders).await.unwrap();
    send(&bus, &[history("a", 1..=2), history("b", 1..=1)].concat()).await;
    let (sender, mut inbox) = Inbox::new();
    let third_time = move |delivery: Delivery| {
        let fails = delivery.message.routing_key == "a.1" && delivery.attempt < 3;
        sender.send(delivery).unwrap();
        async move { if fails { Err(Failure::retry("not yet")) } else { Ok(()) } }
    };
    let consumer = Consumer::start(&bus.broker, &orders, third_time);
    let seen = inbox.take(5).await;
    assert_eq!(names(&seen), [("a.1", 1), ("b.1", 1), ("a.1", 2), ("a.1", 3), ("a.2", 1)]);
    assert!(inbox.is_quiet().await);
    consumer.stop().await;
}

async fn an_ordered_message_that_always_fails_is_set_aside_and_the_next_follows(bus: Bus) {
    let orders = Subscription { delivery_limit: 3, ..ordered("orders") };
    bus.broker.declare(&orders).await.unwrap();
    let sent = history("a", 1..=2);
    send(&bus, &sent).await;
    let (sender, mut inbox) = Inbox::new();
    let never = move |delivery: Delivery| {
        let fails = delivery.message.routing_key == "a.1";
        sender.send(delivery).unwrap();
        async move { if fails { Err(Failure::retry("never")) } else { Ok(()) } }
    };
    let consumer = Consumer::start(&bus.broker, &orders, never);
    assert_eq!(names(&inbox.take(4).await), [("a.1", 1), ("a.1", 2), ("a.1", 3), ("a.2", 1)]);
    let broker = &bus.broker;
    let is_dead = || async move { !broker.dead_letters("orders", 1).await.unwrap().is_empty() };
    eventually("death", is_dead).await;
    let dead = bus.broker.dead_letters("orders", 10).await.unwrap();
    assert_eq!((dead.len(), &dead[0].message, dead[0].reason.as_str()), (1, &sent[0], "rejected"));
    consumer.stop().await;
}

async fn an_ordered_queue_has_one_active_consumer(bus: Bus) {
    let orders = ordered("orders");
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let first = Consumer::start(&bus.broker, &orders, accept(sender));
    send(&bus, &history("a", 1..=1)).await;
    inbox.next().await;
    let (sender, mut others) = Inbox::new();
    let second = Consumer::start(&bus.broker, &orders, accept(sender.clone()));
    let third = Consumer::start(&bus.broker, &orders, accept(sender));
    assert!(others.is_quiet().await);
    for aggregate in ["b", "c", "d", "e"] {
        send(&bus, &history(aggregate, 1..=1)).await;
    }
    inbox.take(4).await;
    assert!(others.is_quiet().await, "they wait to take over");

    first.stop().await;
    send(&bus, &history("f", 1..=1)).await;
    assert_eq!(names(&others.take(1).await), [("f.1", 1)]);
    second.stop().await;
    third.stop().await;
}

async fn what_a_dead_ordered_consumer_had_comes_again_in_order(bus: Bus) {
    let orders = ordered("orders");
    bus.broker.declare(&orders).await.unwrap();
    let stuck = |sender: mpsc::UnboundedSender<Delivery>| {
        move |delivery: Delivery| {
            sender.send(delivery).unwrap();
            std::future::pending()
        }
    };
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, stuck(sender));
    // More than a consumer has in hand, of several aggregates.
    let sent = [history("a", 1..=3), history("b", 1..=3), history("a", 4..=6), history("c", 1..=3)].concat();
    send(&bus, &sent).await;
    inbox.take(2).await;
    drop(consumer);

    let orders = Subscription { concurrency: 1, ..orders };
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&bus.broker, &orders, accept(sender));
    let seen = inbox.take(sent.len()).await;
    let seen: Vec<_> = names(&seen).into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen, sent.iter().map(|message| message.routing_key.as_str()).collect::<Vec<_>>());
    consumer.stop().await;
}

/// A handler that tells the inbox, and then waits until it may end.
fn slow(
    inbox: mpsc::UnboundedSender<Delivery>,
    end: &Arc<Notify>,
    outcome: impl Fn() -> Result<(), Failure> + Clone + Send + Sync + 'static,
) -> impl Handler + 'static {
    let end = end.clone();
    move |delivery: Delivery| {
        inbox.send(delivery).unwrap();
        let (end, outcome) = (end.clone(), outcome.clone());
        async move {
            end.notified().await;
            outcome()
        }
    }
}

async fn an_ordered_consumer_is_succeeded_when_it_has_finished(bus: Bus) {
    let orders = ordered("orders");
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let end = Arc::new(Notify::new());
    let first = Consumer::start(&bus.broker, &orders, slow(sender, &end, || Ok(())));
    send(&bus, &history("a", 1..=2)).await;
    assert_eq!(names(&inbox.take(1).await), [("a.1", 1)]);
    let (sender, mut next) = Inbox::new();
    let second = Consumer::start(&bus.broker, &orders, accept(sender));

    let stopped = first.stop();
    let finishing = async {
        send(&bus, &history("a", 3..=4)).await;
        assert!(next.is_quiet().await, "the first is still at the message before");
        end.notify_one();
        let seen = next.take(3).await;
        names(&seen).into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let ((), seen) = tokio::join!(stopped, finishing);
    assert_eq!(seen, ["a.2", "a.3", "a.4"]);
    assert!(inbox.is_over().await, "a stopping consumer begins nothing new");
    second.stop().await;
}

async fn what_a_stopping_ordered_consumer_could_not_handle_goes_to_the_next_in_order(bus: Bus) {
    let orders = Subscription { concurrency: 2, ..ordered("orders") };
    bus.broker.declare(&orders).await.unwrap();
    let (sender, mut inbox) = Inbox::new();
    let end = Arc::new(Notify::new());
    let failing = slow(sender, &end, || Err(Failure::retry("not here")));
    let first = Consumer::start(&bus.broker, &orders, failing);
    send(&bus, &history("a", 1..=4)).await;
    inbox.take(1).await;
    let (sender, mut next) = Inbox::new();
    let second = Consumer::start(&bus.broker, &orders, accept(sender));
    let finishing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        end.notify_one();
    };
    tokio::join!(first.stop(), finishing);
    let seen = next.take(4).await;
    let seen: Vec<_> = names(&seen).into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen, ["a.1", "a.2", "a.3", "a.4"]);
    second.stop().await;
}
