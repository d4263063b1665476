//! What an operator does to an outbox, beside a publisher at work or without one.

use std::{io, time::Duration};

use chrono::DateTime;
use sea_orm::TransactionTrait as _;
use shop_outbox::{DiscardError, OutboxMetrics, Publisher, RowFilter, RowKey, RowStatus};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{Fixture, Running, message};

on_both!(
    rows_are_listed_by_status_in_pages,
    a_row_is_shown_whole_by_either_of_its_names,
    a_redriven_row_is_sent_and_its_aggregate_follows_in_order,
    a_discarded_row_is_handed_over_and_lets_its_aggregate_go_on,
    rows_that_are_not_dead_are_never_touched,
    a_row_that_cannot_be_recorded_is_kept,
    all_dead_rows_are_redriven_in_chunks,
    the_overview_tells_who_publishes,
);

/// Appends version 1 to `versions` of `aggregate`, the first of them dead.
async fn dead_and_held_back(fixture: &Fixture, aggregate: &str, versions: i64) -> Uuid {
    let first = fixture.append(aggregate, 1).await;
    for version in 2..=versions {
        fixture.append(aggregate, version).await;
    }
    let kill = format!(
        "UPDATE outbox_messages SET status = 'dead', attempts = 3, last_error = 'returned', available_at = created_at
         WHERE aggregate_id = '{aggregate}' AND aggregate_version = 1"
    );
    fixture.execute(&kill).await;
    first
}

fn dead_after(after: i64) -> RowFilter {
    RowFilter { after, ..RowFilter::default() }
}

async fn rows_are_listed_by_status_in_pages(fixture: Fixture) {
    for aggregate in ["a", "b", "c"] {
        dead_and_held_back(&fixture, aggregate, 2).await;
    }
    let store = fixture.store().await;
    let page = store.list(&RowFilter { limit: 2, ..RowFilter::default() }).await.unwrap();
    assert_eq!(page.iter().map(|row| row.aggregate_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((page[0].attempts, page[0].last_error.as_deref()), (3, Some("returned")));
    let page = store.list(&dead_after(page[1].id)).await.unwrap();
    assert_eq!(page.iter().map(|row| row.aggregate_id.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(store.list(&dead_after(page[0].id)).await.unwrap().is_empty());

    let of = |status, aggregate: &str| RowFilter {
        status,
        aggregate: Some(("thing".to_owned(), aggregate.to_owned())),
        ..RowFilter::default()
    };
    let pending = store.list(&of(RowStatus::Pending, "b")).await.unwrap();
    assert_eq!(pending.iter().map(|row| row.aggregate_version).collect::<Vec<_>>(), [2]);
    assert!(store.list(&of(RowStatus::Pending, "nobody")).await.unwrap().is_empty());
    assert!(store.list(&of(RowStatus::Sent, "b")).await.unwrap().is_empty());
    let none = RowFilter { limit: 0, ..RowFilter::default() };
    assert_eq!(store.list(&none).await.unwrap().len(), 1, "a page has a row at least");
}

async fn a_row_is_shown_whole_by_either_of_its_names(fixture: Fixture) {
    let message = dead_and_held_back(&fixture, "a", 2).await;
    let store = fixture.store().await;
    let row = store.find(RowKey::Message(message)).await.unwrap().unwrap();
    assert_eq!(row.payload, r#"{"aggregate":"a","version":1,"amount":2500.00}"#);
    assert_eq!(row.summary.status, RowStatus::Dead);
    assert_eq!(row.summary.created_at, DateTime::from_timestamp(1_700_000_000, 0).unwrap());
    assert_eq!(row.summary.sent_at, None);
    assert!(row.headers.starts_with('{'), "{}", row.headers);
    assert_eq!(store.find(RowKey::Id(row.summary.id)).await.unwrap().unwrap(), row);
    assert_eq!(store.find(RowKey::Id(4711)).await.unwrap(), None);
    assert_eq!(store.find(RowKey::Message(Uuid::nil())).await.unwrap(), None);
}

async fn a_redriven_row_is_sent_and_its_aggregate_follows_in_order(fixture: Fixture) {
    // Nobody takes it, until somebody does.
    let lost = message("a", 1, "nobody.listens");
    let transaction = fixture.database.begin().await.unwrap();
    shop_outbox::append(&transaction, &lost).await.unwrap();
    transaction.commit().await.unwrap();
    fixture.append("a", 2).await;
    fixture.append("a", 3).await;
    let store = fixture.store().await;
    let publisher = Publisher::new(
        store.clone(),
        fixture.broker.publisher(Fixture::transport(false)),
        Fixture::options("one"),
        OutboxMetrics::default(),
    );
    let running = Running::start(publisher);
    fixture.until("dead", 1).await;
    assert_eq!(fixture.count("pending").await, 2);

    let queue = fixture.queue("all", "#").await;
    let redriven = store.redrive(&[RowKey::Message(lost.id)]).await.unwrap();
    let [row] = redriven.as_slice() else { panic!("{redriven:?}") };
    assert_eq!((row.status, row.attempts, row.available_at), (RowStatus::Pending, 0, None));
    assert!(row.last_error.as_deref().is_some_and(|error| error.starts_with("returned")), "{row:?}");

    fixture.until("sent", 3).await;
    queue.until(3).await;
    running.stop().await;
    let versions: Vec<i64> = queue.all().iter().map(|arrival| arrival.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    let row = store.find(RowKey::Message(lost.id)).await.unwrap().unwrap().summary;
    assert_eq!((row.status, row.last_error), (RowStatus::Sent, None), "what is sent has no error");
}

async fn a_discarded_row_is_handed_over_and_lets_its_aggregate_go_on(fixture: Fixture) {
    let queue = fixture.queue("all", "#").await;
    let message = dead_and_held_back(&fixture, "a", 3).await;
    let running = fixture.run(Fixture::options("one")).await;
    fixture.append("b", 1).await;
    fixture.until("sent", 1).await;
    assert_eq!(fixture.count("pending").await, 2, "they are held back");

    let store = fixture.store().await;
    let shown = store.find(RowKey::Message(message)).await.unwrap().unwrap();
    let mut recorded = Vec::new();
    let record = |rows: &[_]| {
        recorded.extend_from_slice(rows);
        Ok(())
    };
    let discarded = store.discard(&[RowKey::Message(message)], record).await.unwrap();
    assert_eq!(discarded, [shown]);
    assert_eq!(recorded, discarded);

    fixture.until("sent", 3).await;
    queue.until(3).await;
    running.stop().await;
    let arrived: Vec<_> = queue.all().iter().map(|a| (a.aggregate.clone(), a.version)).collect();
    assert_eq!(arrived, [("b".to_owned(), 1), ("a".to_owned(), 2), ("a".to_owned(), 3)]);
}

async fn rows_that_are_not_dead_are_never_touched(fixture: Fixture) {
    fixture.append("sent", 1).await;
    fixture.append("waits", 1).await;
    fixture
        .execute(
            "UPDATE outbox_messages SET status = 'sent', attempts = 2, sent_at = created_at WHERE aggregate_id = 'sent'",
        )
        .await;
    fixture.execute("UPDATE outbox_messages SET attempts = 1 WHERE aggregate_id = 'waits'").await;
    let before = fixture.rows().await;
    let store = fixture.store().await;
    let keys = [RowKey::Id(1), RowKey::Id(2), RowKey::Id(3), RowKey::Message(Uuid::nil())];
    for _ in 0..2 {
        assert!(store.redrive(&keys).await.unwrap().is_empty());
        assert!(store.redrive_next(0, 1_000).await.unwrap().is_empty());
        assert!(store.discard(&keys, |_| Ok(())).await.unwrap().is_empty());
    }
    assert_eq!(fixture.rows().await, before);
    assert_eq!(before, [("sent".to_owned(), 2), ("pending".to_owned(), 1)]);
}

async fn a_row_that_cannot_be_recorded_is_kept(fixture: Fixture) {
    let message = dead_and_held_back(&fixture, "a", 1).await;
    let store = fixture.store().await;
    let full = |_: &[_]| Err(io::Error::from(io::ErrorKind::StorageFull));
    let refused = store.discard(&[RowKey::Message(message)], full).await;
    assert!(matches!(refused, Err(DiscardError::NotRecorded(_))), "{refused:?}");
    assert_eq!(fixture.rows().await, [("dead".to_owned(), 3)]);
    assert_eq!(store.discard(&[RowKey::Message(message)], |_| Ok(())).await.unwrap().len(), 1);
    assert!(fixture.rows().await.is_empty());
}

async fn all_dead_rows_are_redriven_in_chunks(fixture: Fixture) {
    for aggregate in ["a", "b", "c", "d", "e"] {
        dead_and_held_back(&fixture, aggregate, 1).await;
    }
    let store = fixture.store().await;
    let (mut after, mut chunks) = (0, Vec::new());
    while let Some(last) = {
        let rows = store.redrive_next(after, 2).await.unwrap();
        chunks.push(rows.len());
        rows.last().map(|row| row.id)
    } {
        // One that dies again at once is left to the next time.
        fixture
            .execute(&format!(
                "UPDATE outbox_messages SET status = 'dead', attempts = 1 WHERE id = {last} AND aggregate_id = 'b'"
            ))
            .await;
        after = last;
    }
    assert_eq!(chunks, [2, 2, 1, 0]);
    assert_eq!((fixture.count("pending").await, fixture.count("dead").await), (4, 1));
}

async fn the_overview_tells_who_publishes(fixture: Fixture) {
    let store = fixture.store().await;
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.sent, overview.leader), (0, None));

    dead_and_held_back(&fixture, "a", 2).await;
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    fixture.append("b", 1).await;
    queue.until(1).await;
    fixture.until("sent", 1).await;
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.stats.pending, overview.stats.dead, overview.sent), (1, 1, 1));
    assert!(overview.stats.oldest_pending_seconds > 0.0);
    let leader = overview.leader.unwrap();
    assert_eq!((leader.epoch, leader.holder.as_str(), leader.leading), (1, "one", true));

    running.stop().await;
    let leader = store.overview().await.unwrap().leader.unwrap();
    assert_eq!((leader.epoch, leader.leading), (1, false), "the lease was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_publisher_is_woken_by_a_redrive_and_by_a_discard() {
    let Some(fixture) = Fixture::real().await else { return };
    let redriven = dead_and_held_back(&fixture, "a", 2).await;
    let discarded = dead_and_held_back(&fixture, "b", 2).await;
    let queue = fixture.queue("all", "#").await;
    let mut options = Fixture::options("one");
    options.poll_interval = Duration::from_secs(60);
    let mut running = fixture.run(options).await;
    running.leading().await;
    let store = fixture.store().await;
    for arrivals in [2, 3] {
        // Long enough that it listens, and has found nothing to do.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        if arrivals == 2 {
            assert_eq!(store.redrive(&[RowKey::Message(redriven)]).await.unwrap().len(), 1);
        } else {
            assert_eq!(store.discard(&[RowKey::Message(discarded)], |_| Ok(())).await.unwrap().len(), 1);
        }
        queue.until(arrivals).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}: it was not woken", began.elapsed());
    }
    fixture.until("sent", 3).await;
    running.stop().await;
    queue.assert_ordered();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_operators_at_once_one_redrives_each_row() {
    let Some(fixture) = Fixture::real().await else { return };
    for aggregate in 0..40 {
        dead_and_held_back(&fixture, &aggregate.to_string(), 1).await;
    }
    let tasks: Vec<_> = (0..4)
        .map(|operator| (operator, fixture.store()))
        .map(async |(operator, store)| {
            let store = store.await;
            let mut ids: Vec<i64> = (1..=40).collect();
            ids.rotate_left(operator * 10);
            let keys: Vec<RowKey> = ids.into_iter().map(RowKey::Id).collect();
            store.redrive(&keys).await.unwrap().len()
        })
        .collect();
    let redriven: usize = futures_util::future::join_all(tasks).await.into_iter().sum();
    assert_eq!((redriven, fixture.count("pending").await), (40, 40));
}
