//! What other sessions do to the outbox's tables.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, IsolationLevel, TransactionTrait as _};
use tokio::time::Instant;

use crate::support::{Fixture, message};

/// Rows by SQL, `count` of them in turn of `aggregates` aggregates; `status` and the rest are SQL over the number `n`.
async fn fill(fixture: &Fixture, count: usize, aggregates: usize, status: &str) {
    let insert = format!(
        "INSERT INTO outbox_messages (message_id, aggregate_type, aggregate_id, aggregate_version, event_type,
                                      routing_key, payload, headers, created_at, status, attempts, sent_at)
         SELECT gen_random_uuid(), 'thing', s || n % {aggregates}, n, 'thing_changed', 'thing.changed', '{{}}', '{{}}',
                now(), s, (s = 'dead')::int * 3, CASE s WHEN 'sent' THEN now() - interval '1 hour' END
         FROM generate_series(1, {count}) AS n, LATERAL (SELECT {status} AS s) AS status ORDER BY n"
    );
    fixture.execute(&insert).await;
}

const PENDING: &str = "SELECT count(*) FROM outbox_messages WHERE status = 'pending'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_in_the_sequence_beside_transactions_that_take_long_hide_no_row() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let elsewhere = fixture.another_connection().await;
    let append = async |aggregate: &str, version| {
        let transaction = elsewhere.begin().await.unwrap();
        // A transaction that notifies cannot be prepared.
        transaction.execute_unprepared("SET LOCAL outbox.notify = off").await.unwrap();
        shop_outbox::append(&transaction, &message(aggregate, version, "thing.changed")).await.unwrap();
        transaction
    };
    let (mut open, mut prepared) = (Vec::new(), Vec::new());
    for version in 1..=30 {
        append("undone", version).await.rollback().await.unwrap();
        fixture.append("quick", version).await;
        append("undone", version).await.rollback().await.unwrap();
        match version {
            5 | 15 => open.push(append(&format!("open{version}"), 1).await),
            10 | 20 => {
                let name = uuid::Uuid::new_v4();
                let transaction = append(&format!("prepared{version}"), 1).await;
                transaction.execute_unprepared(&format!("PREPARE TRANSACTION '{name}'")).await.unwrap();
                drop(transaction);
                prepared.push(name);
            }
            _ => {}
        }
    }
    queue.until(30).await;
    for transaction in open {
        transaction.commit().await.unwrap();
    }
    queue.until(32).await;
    for name in prepared {
        fixture.execute(&format!("COMMIT PREPARED '{name}'")).await;
    }
    fixture.until("sent", 34).await;
    queue.until(34).await;
    running.stop().await;
    queue.assert_ordered();
    assert_eq!((queue.distinct(), queue.duplicates()), (34, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_over_many_sent_rows_does_not_slow_publishing_down_much() {
    const ROWS: usize = 1_000;
    let Some(fixture) = Fixture::real().await else { return };
    let mut options = Fixture::options("one");
    // Small windows, so that reading the index counts for much.
    options.batch_size = 40;
    let drain = async || {
        fill(&fixture, ROWS, ROWS, "'pending'").await;
        let running = fixture.run(options.clone()).await;
        let began = Instant::now();
        fixture.until_number(PENDING, 0).await;
        let took = began.elapsed();
        running.stop().await;
        took
    };
    // The first pays for what is new: connections, queues, caches.
    drain().await;
    let alone = drain().await;
    let dump = fixture.another_connection().await;
    let dump = dump.begin_with_config(Some(IsolationLevel::RepeatableRead), None).await.unwrap();
    dump.execute_unprepared("SELECT count(*) FROM outbox_messages").await.unwrap();
    fill(&fixture, 100_000, 100_000, "'pending'").await;
    // As the publisher marks them; what this leaves in the index of the pending ones stays while the snapshot does.
    fixture
        .execute("UPDATE outbox_messages SET status = 'sent', sent_at = now() WHERE status = 'pending'")
        .await;
    let beside = drain().await;
    dump.rollback().await.unwrap();
    println!("{ROWS} rows: {alone:?} alone, {beside:?} beside an old snapshot");
    assert!(
        beside < 10 * alone + Duration::from_secs(1),
        "{alone:?} alone, {beside:?} beside an old snapshot"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_published_at_full_pace_though_all_plans_were_made_for_a_small_table() {
    const ROWS: usize = 10_000;
    let Some(fixture) = Fixture::real().await else { return };
    let drain = async |rows| {
        fill(&fixture, rows, rows, "'pending'").await;
        let began = Instant::now();
        fixture.until_number(PENDING, 0).await;
        began.elapsed()
    };
    fixture.execute("ALTER TABLE outbox_messages SET (autovacuum_enabled = false)").await;
    let running = fixture.run(Fixture::options("one")).await;
    drain(20).await;
    fixture.execute("ANALYZE outbox_messages").await;
    // Often enough for plans to be kept.
    for _ in 0..10 {
        drain(1).await;
    }
    let surprised = drain(ROWS).await;
    fixture.execute("ANALYZE outbox_messages").await;
    let prepared = drain(ROWS).await;
    running.stop().await;
    println!("{ROWS} rows: {surprised:?}, and {prepared:?} with statistics");
    assert!(surprised < 5 * prepared + Duration::from_secs(1), "{surprised:?}, and {prepared:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_notification_polling_delivers() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    // To a publisher, this is what a pooler between it and the database does.
    fixture.execute("ALTER TABLE outbox_messages DISABLE TRIGGER outbox_wake").await;
    let mut options = Fixture::options("one");
    options.poll_interval = Duration::from_millis(200);
    let running = fixture.run(options).await;
    fixture.append("a", 1).await;
    queue.until(1).await;
    for version in 2..=4 {
        fixture.until_number("SELECT last_value FROM outbox_asleep", 1).await;
        fixture.append("a", version).await;
        queue.until(version as usize).await;
    }
    running.stop().await;
    assert_eq!(queue.duplicates(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_that_races_the_publisher_removes_nothing_that_is_pending_or_dead() {
    const ROWS: usize = 20_000;
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let status = "CASE WHEN n % 10 = 0 THEN 'pending' WHEN n % 100 = 1 THEN 'dead' ELSE 'sent' END";
    fill(&fixture, ROWS, ROWS, status).await;
    let mut options = Fixture::options("one");
    // Both take about two seconds: a row is removed as soon as it is sent, beside those that wait.
    options.batch_size = 20;
    options.retention = Some(Duration::ZERO);
    let running = fixture.run(options).await;
    fixture.until_number(PENDING, 0).await;
    queue.until(ROWS / 10).await;
    let old = "SELECT count(*) FROM outbox_messages WHERE aggregate_id LIKE 'sent%'";
    fixture.until_number(old, 0).await;
    running.stop().await;
    assert_eq!((queue.distinct(), queue.duplicates()), (ROWS / 10, 0));
    let dead = "SELECT count(*) FROM outbox_messages WHERE status = 'dead'";
    assert_eq!(fixture.number(dead).await, ROWS / 100);
}
