//! What the publisher promises while nothing breaks. Each on the embedded backends and on the real ones.

use std::time::Duration;

use sea_orm::TransactionTrait as _;
use shop_messaging::PublisherOptions;
use shop_outbox::Trouble;
use tokio::time::Instant;

use crate::support::{Fixture, Running, message};

on_both!(
    every_committed_event_arrives_once_and_in_order,
    a_rolled_back_event_is_never_published,
    a_message_carries_the_documented_properties,
    a_writers_own_headers_arrive_and_the_outboxs_win,
    an_unroutable_event_becomes_dead_and_holds_back_only_its_aggregate,
    an_event_that_cannot_be_encoded_is_dead_at_once,
    nothing_is_published_before_its_consumers_queue_exists,
    two_publishers_publish_nothing_twice,
    a_stopped_publisher_hands_over_at_once,
    a_crashed_publisher_is_replaced_after_its_lease,
    sent_rows_are_retired,
);

async fn every_committed_event_arrives_once_and_in_order(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    for version in 1..=40 {
        for aggregate in ["a", "b", "c"] {
            fixture.append(aggregate, version).await;
        }
    }
    fixture.until("sent", 120).await;
    queue.until(120).await;
    running.stop().await;
    assert_eq!(queue.duplicates(), 0);
    queue.assert_ordered();
}

async fn a_rolled_back_event_is_never_published(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let transaction = fixture.database.begin().await.unwrap();
    shop_outbox::append(&transaction, &message("undone", 1, "thing.changed")).await.unwrap();
    transaction.rollback().await.unwrap();
    fixture.append("done", 1).await;
    let seen = queue.until(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.stop().await;
    assert_eq!((seen[0].aggregate.as_str(), queue.all().len()), ("done", 1));
}

async fn a_message_carries_the_documented_properties(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let id = fixture.append("a", 7).await;
    let message = queue.until(1).await.remove(0).message;
    running.stop().await;
    assert_eq!(message.id, id);
    assert_eq!(message.kind, "thing_changed");
    assert_eq!(message.routing_key, "thing.changed");
    assert_eq!(message.app_id, "tests");
    assert_eq!(message.timestamp.timestamp(), 1_700_000_000);
    assert_eq!(message.headers["aggregate_type"], "thing".into());
    assert_eq!(message.payload, r#"{"aggregate":"a","version":7,"amount":2500.00}"#, "byte for byte");
}

async fn a_writers_own_headers_arrive_and_the_outboxs_win(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let mut event = message("a", 7, "thing.changed");
    event.headers = [
        ("tenant".to_owned(), "north".into()),
        ("attempt".to_owned(), 3.into()),
        ("aggregate_version".to_owned(), 9.into()),
    ]
    .into();
    let transaction = fixture.database.begin().await.unwrap();
    shop_outbox::append(&transaction, &event).await.unwrap();
    transaction.commit().await.unwrap();
    let headers = queue.until(1).await.remove(0).message.headers;
    running.stop().await;
    assert_eq!(headers["tenant"], "north".into());
    assert_eq!(headers["attempt"], 3.into());
    assert_eq!(headers["aggregate_version"], 7.into());
}

async fn an_unroutable_event_becomes_dead_and_holds_back_only_its_aggregate(fixture: Fixture) {
    let queue = fixture.queue("changes", "thing.*").await;
    let store = fixture.store().await;
    let transport = fixture.broker.publisher(Fixture::transport(false));
    let publisher = shop_outbox::Publisher::new(
        store,
        transport,
        Fixture::options("one"),
        shop_outbox::OutboxMetrics::default(),
    );
    let transaction = fixture.database.begin().await.unwrap();
    shop_outbox::append(&transaction, &message("lost", 1, "nobody.listens")).await.unwrap();
    transaction.commit().await.unwrap();
    fixture.append("lost", 2).await;
    for version in 1..=5 {
        fixture.append("fine", version).await;
    }
    let running = Running::start(publisher);
    queue.until(5).await;
    fixture.until("dead", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop().await;
    assert!(queue.all().iter().all(|arrival| arrival.aggregate == "fine"));
    let rows = fixture.rows().await;
    assert_eq!(rows[0], ("dead".to_owned(), 3));
    assert_eq!(rows[1], ("pending".to_owned(), 0), "it waits for the one before it");
}

async fn an_event_that_cannot_be_encoded_is_dead_at_once(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let transaction = fixture.database.begin().await.unwrap();
    shop_outbox::append(&transaction, &message("bad", 1, &"x".repeat(256))).await.unwrap();
    transaction.commit().await.unwrap();
    fixture.append("good", 1).await;
    queue.until(1).await;
    fixture.until("dead", 1).await;
    running.stop().await;
    assert_eq!(fixture.rows().await[0], ("dead".to_owned(), 1));
}

async fn nothing_is_published_before_its_consumers_queue_exists(fixture: Fixture) {
    let required_queues = vec!["stock".to_owned(), "mail".to_owned()];
    let transport = PublisherOptions { required_queues, ..Fixture::transport(true) };
    let mut running = fixture.run_through(&fixture.broker, transport, Fixture::options("one")).await;
    for version in 1..=3 {
        fixture.append("a", version).await;
    }
    let missing = async |running: &mut Running, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let trouble = Some(Trouble::QueuesMissing(names));
        let told = running.progress.wait_for(|progress| progress.trouble == trouble);
        tokio::time::timeout(Duration::from_secs(20), told).await.unwrap().unwrap();
    };
    missing(&mut running, &["stock", "mail"]).await;
    let stock = fixture.queue("stock", "#").await;
    missing(&mut running, &["mail"]).await;
    assert_eq!(fixture.rows().await, vec![("pending".to_owned(), 0); 3], "no row is to blame");

    let mail = fixture.queue("mail", "#").await;
    fixture.until("sent", 3).await;
    for queue in [&stock, &mail] {
        queue.until(3).await;
        queue.assert_ordered();
    }
    let well = running.progress.wait_for(|progress| progress.publishing && progress.trouble.is_none());
    tokio::time::timeout(Duration::from_secs(20), well).await.unwrap().unwrap();
    running.stop().await;
}

async fn two_publishers_publish_nothing_twice(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let one = fixture.run(Fixture::options("one")).await;
    let two = fixture.run(Fixture::options("two")).await;
    for version in 1..=60 {
        fixture.append("a", version).await;
        fixture.append("b", version).await;
    }
    fixture.until("sent", 120).await;
    queue.until(120).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(one.progress.borrow().leading != two.progress.borrow().leading, "one leads, one waits");
    one.stop().await;
    two.stop().await;
    assert_eq!(queue.all().len(), 120);
    queue.assert_ordered();
}

async fn a_stopped_publisher_hands_over_at_once(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let mut one = fixture.run(Fixture::options("one")).await;
    one.leading().await;
    let mut two = fixture.run(Fixture::options("two")).await;
    let began = Instant::now();
    one.stop().await;
    two.leading().await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}: the lease of 5 s was not given back",
        began.elapsed()
    );
    fixture.append("a", 1).await;
    queue.until(1).await;
    two.stop().await;
}

async fn a_crashed_publisher_is_replaced_after_its_lease(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let mut one = fixture.run(Fixture::options("one")).await;
    one.leading().await;
    drop(one);
    fixture.append("a", 1).await;
    let began = Instant::now();
    let two = fixture.run(Fixture::options("two")).await;
    queue.until(1).await;
    assert!(began.elapsed() < Duration::from_secs(5 + 3), "{:?}", began.elapsed());
    assert_eq!(two.progress.borrow().epoch, 2);
    two.stop().await;
}

async fn sent_rows_are_retired(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    for version in 1..=5 {
        fixture.append("a", version).await;
    }
    let mut options = Fixture::options("one");
    options.retention = None;
    let running = fixture.run(options.clone()).await;
    fixture.until("sent", 5).await;
    running.stop().await;
    assert_eq!(queue.until(5).await.len(), 5);
    options.retention = Some(Duration::ZERO);
    let running = fixture.run(options).await;
    fixture.until("sent", 0).await;
    running.stop().await;
    assert!(fixture.rows().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_sea_orm_appends_in_its_own_transaction() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let pool = fixture.database.get_postgres_connection_pool();
    for (version, ends_well) in [(1, true), (2, false), (3, true)] {
        let mut transaction = pool.begin().await.unwrap();
        let event = message("a", version, "thing.changed");
        shop_outbox::append_sqlx(&mut transaction, &event).await.unwrap();
        if ends_well {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    let versions: Vec<i64> = queue.until(2).await.iter().map(|arrival| arrival.version).collect();
    running.stop().await;
    assert_eq!(versions, [1, 3]);
}
