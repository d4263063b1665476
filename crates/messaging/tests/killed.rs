//! The bus in a file, whose process is killed at any moment.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use shop_messaging::{
    Broker, Delivery, Failure, PublisherOptions, Subscription, Verdict, in_process::SqliteBroker,
};
use support::{Consumer, EXCHANGE, Inbox, PATIENCE, accept, message, messages};
use uuid::Uuid;

/// Where the process that is to be killed finds the file.
const FILE: &str = "SHOP_TEST_BUS_FILE";

/// Confirmed messages until the process is killed: in the first window, and after many.
const CONFIRMED: [usize; 5] = [1, 7, 50, 120, 300];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_queue_has_taken_is_there_after_kill_9() {
    if let Some(file) = std::env::var_os(FILE) {
        return victim(Path::new(&file)).await;
    }
    for least in CONFIRMED {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bus.db");
        let said = kill_after(least, file.as_os_str());
        let of = |what: &str| said.get(what).cloned().unwrap_or_default();
        let (confirmed, handled, stuck, rejected) =
            (of("confirmed"), of("handled"), of("stuck"), of("rejected"));

        let broker = Broker::from(SqliteBroker::open(&file).await.unwrap());
        // What died is told apart by nobody but the file: the rejection may have been on its way when the process was killed.
        let dead = broker.dead_letters("orders", usize::MAX).await.unwrap();
        let dead: BTreeSet<Uuid> = dead.into_iter().map(|letter| letter.message.id).collect();
        assert!(dead.is_subset(&rejected), "{dead:?} of {rejected:?}");

        // The binding is there without being declared.
        let last = message("order.last");
        let mut publisher = broker.publisher(PublisherOptions { declare_exchange: false, ..options() });
        let verdicts = publisher.publish(std::slice::from_ref(&last), PATIENCE).await.unwrap();
        assert_eq!(verdicts, [Verdict::Confirmed]);

        let deliveries = drain(&broker, last.id).await;
        for id in confirmed.difference(&handled) {
            assert!(deliveries.contains_key(id) || dead.contains(id), "{id} was confirmed, and is lost");
        }
        for id in &stuck {
            assert_eq!(deliveries.get(id), Some(&2), "its first delivery is counted");
        }
    }
}

fn options() -> PublisherOptions {
    PublisherOptions::new(EXCHANGE, "test")
}

fn orders() -> Subscription {
    Subscription { concurrency: 3, ..Subscription::new(EXCHANGE, "orders", ["order.#"]) }
}

/// Publishes and consumes, and says what it has seen, until it is killed.
async fn victim(file: &Path) {
    let broker = Broker::from(SqliteBroker::open(file).await.unwrap());
    broker.declare(&orders()).await.unwrap();
    let mut consumer = Consumer::start(&broker, &orders(), |delivery: Delivery| async move {
        let id = delivery.message.id;
        match delivery.message.routing_key.as_str() {
            "order.stuck" => {
                say("stuck", id);
                std::future::pending().await
            }
            "order.bad" => {
                say("rejected", id);
                Err(Failure::reject("as the test wants"))
            }
            _ => {
                say("handled", id);
                Ok(())
            }
        }
    });
    let mut publisher = broker.publisher(options());
    let mut keys = ["order.stuck", "order.bad"].into_iter();
    loop {
        let mut window = messages("order.created", 3);
        window.extend(keys.next().map(message));
        let verdicts = publisher.publish(&window, PATIENCE).await.unwrap();
        for (message, verdict) in window.iter().zip(verdicts) {
            assert_eq!(verdict, Verdict::Confirmed);
            say("confirmed", message.id);
        }
        assert!(!consumer.has_ended());
    }
}

/// In one write, so that no kill leaves half of a line.
fn say(word: &str, id: Uuid) {
    std::io::stderr().write_all(format!("{word} {id}\n").as_bytes()).unwrap();
}

/// Runs the victim until it has told of so many confirmed messages, and kills it; what it told, by word.
fn kill_after(confirmed: usize, file: &OsStr) -> BTreeMap<String, BTreeSet<Uuid>> {
    let this = std::env::current_exe().unwrap();
    let mut victim = Command::new(this)
        .args(["--exact", "what_a_queue_has_taken_is_there_after_kill_9", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said: BTreeMap<String, BTreeSet<Uuid>> = BTreeMap::new();
    for line in BufReader::new(victim.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((word, id)) = line.split_once(' ') else { continue };
        let Ok(id) = id.parse() else { panic!("{line}") };
        said.entry(word.to_owned()).or_default().insert(id);
        if said.get("confirmed").is_some_and(|ids| ids.len() >= confirmed) {
            // What it has said before its end is still read. Killing it again does no harm.
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    assert!(said["confirmed"].len() >= confirmed);
    said
}

/// All that the queue holds: ids and attempts, up to and without `last`.
async fn drain(broker: &Broker, last: Uuid) -> BTreeMap<Uuid, u32> {
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(broker, &Subscription { concurrency: 1, ..orders() }, accept(sender));
    let mut deliveries = BTreeMap::new();
    loop {
        let delivery = inbox.next().await;
        if delivery.message.id == last {
            break;
        }
        deliveries.insert(delivery.message.id, delivery.attempt);
    }
    consumer.stop().await;
    deliveries
}

#[tokio::test]
async fn a_message_that_kills_its_consumer_each_time_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bus.db");
    let orders = Subscription { delivery_limit: 2, ..orders() };
    let deadly = message("order.deadly");
    for life in 1..=2 {
        let broker = Broker::from(SqliteBroker::open(&file).await.unwrap());
        broker.declare(&orders).await.unwrap();
        if life == 1 {
            let window = std::slice::from_ref(&deadly);
            broker.publisher(options()).publish(window, PATIENCE).await.unwrap();
        }
        let (sender, mut inbox) = Inbox::new();
        let stuck = move |delivery: Delivery| {
            sender.send(delivery).unwrap();
            std::future::pending()
        };
        let consumer = Consumer::start(&broker, &orders, stuck);
        assert_eq!(inbox.next().await.attempt, life);
        drop(consumer);
    }
    let broker = Broker::from(SqliteBroker::open(&file).await.unwrap());
    let (sender, mut inbox) = Inbox::new();
    let consumer = Consumer::start(&broker, &orders, accept(sender));
    assert!(inbox.is_quiet().await, "two deliveries are all that it may have");
    consumer.stop().await;
    let dead = &broker.dead_letters("orders", 9).await.unwrap()[0];
    assert_eq!((&dead.message, dead.reason.as_str()), (&deadly, "delivery_limit"));
}

#[tokio::test]
async fn an_event_log_keeps_the_last_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bus.db");
    let log = shop_messaging::EventLog::new("events.log");
    {
        let broker = Broker::from(SqliteBroker::open(&file).await.unwrap());
        let mut publisher = broker.publisher(PublisherOptions { event_log: Some(log), ..options() });
        for _ in 0..5 {
            let verdicts = publisher.publish(&messages("order.created", 300), PATIENCE).await.unwrap();
            assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Confirmed));
        }
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut database = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let count = "SELECT count(*) FROM messages WHERE queue = 'events.log'";
    let kept: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
    assert_eq!(kept, 1000);
}

#[tokio::test]
async fn one_process_has_the_file_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bus.db");
    let first = SqliteBroker::open(&file).await.unwrap();
    let refused = SqliteBroker::open(&file).await.unwrap_err();
    assert!(refused.to_string().contains("bus.db"), "{refused}");
    drop(first);
    SqliteBroker::open(&file).await.unwrap();
}
