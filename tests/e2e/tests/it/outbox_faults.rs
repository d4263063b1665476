//! What the publisher survives as a process: being killed at every point of a window, stopped, terminated, given a wrong clock,
//! or a long backlog.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};
use shop_testing::{Held, Proxy};

use crate::support::{
    Outbox, Process, http,
    outbox::{BATCH_SIZE, leads, until},
};

/// A transaction that locks the lease's row: marks and renewals wait for its end.
async fn holding_the_lease(outbox: &Outbox) -> DatabaseTransaction {
    let transaction = outbox.database.begin().await.unwrap();
    transaction.execute_unprepared("SELECT FROM outbox_publishers FOR UPDATE").await.unwrap();
    transaction
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_killed_between_send_and_confirm_loses_nothing() {
    let Some(outbox) = Outbox::take().await else { return };
    let network = Proxy::to(&outbox.rabbitmq.url).await;
    let mut first = outbox.leader(&[("OUTBOX_RABBITMQ_URL", network.url())]).await;
    network.hold(Held::Answers);
    outbox.append(600, 300).await;
    until("the broker has some of the window", async || outbox.tap.depth().await > 1).await;
    first.kill9();
    assert_eq!(outbox.sent().await, 1, "nothing counts as sent without a confirm");

    let second = outbox.publisher(&[]).await;
    let arrivals = outbox.finish(second).await;
    arrivals.assert_complete_and_ordered(601);
    assert!((1..=BATCH_SIZE).contains(&arrivals.duplicates()), "{} duplicates", arrivals.duplicates());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_killed_between_confirm_and_mark_loses_nothing() {
    let Some(outbox) = Outbox::take().await else { return };
    let mut first = outbox.leader(&[]).await;
    let held = holding_the_lease(&outbox).await;
    outbox.append(600, 300).await;
    outbox.until_a_mark_waits().await;
    outbox.until_nothing_comes().await;
    first.kill9();
    // A server notices late that its client is dead, and would still execute the mark; this one never gets that far.
    held.execute_unprepared(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .await
    .unwrap();
    held.rollback().await.unwrap();

    let second = outbox.publisher(&[]).await;
    let arrivals = outbox.finish(second).await;
    arrivals.assert_complete_and_ordered(601);
    assert!((1..=BATCH_SIZE).contains(&arrivals.duplicates()), "{} duplicates", arrivals.duplicates());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_killed_inside_the_commit_of_its_mark_repeats_nothing_of_what_is_marked() {
    let Some(outbox) = Outbox::take().await else { return };
    let network = Proxy::to(&outbox.postgres.url).await;
    let mut first = outbox.leader(&[("OUTBOX_DATABASE_URL", network.url())]).await;
    let held = holding_the_lease(&outbox).await;
    outbox.append(600, 300).await;
    outbox.until_a_mark_waits().await;
    outbox.until_nothing_comes().await;
    network.hold(Held::Answers);
    held.rollback().await.unwrap();
    until("the mark is committed", async || outbox.sent().await > 1).await;
    first.kill9();
    let marked = outbox.sent().await - 1;

    let second = outbox.publisher(&[]).await;
    let arrivals = outbox.finish(second).await;
    arrivals.assert_complete_and_ordered(601);
    assert!(
        arrivals.duplicates() <= BATCH_SIZE - marked,
        "{} duplicates, {marked} marked",
        arrivals.duplicates()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_stopped_past_its_lease_and_woken_in_mid_batch_marks_nothing() {
    let Some(outbox) = Outbox::take().await else { return };
    let network = Proxy::to(&outbox.rabbitmq.url).await;
    // Heartbeats of one second: the broker releases its fence after two missed ones.
    let url = format!("{}?heartbeat=1", network.url());
    let first = outbox.leader(&[("OUTBOX_RABBITMQ_URL", &url)]).await;
    network.hold(Held::Answers);
    outbox.append(600, 300).await;
    until("the broker has some of the window", async || outbox.tap.depth().await > 1).await;
    first.signal(Signal::STOP);

    let second = outbox.publisher(&[]).await;
    outbox.until_sent(601).await;
    assert!(leads(&second).await);
    let arrived = outbox.tap.depth().await;
    // What the first had in flight is pending, as if nobody had claimed it; the second leaves it for later.
    outbox
        .execute("UPDATE outbox_messages SET status = 'pending', available_at = now() + interval '1 hour' WHERE id > 1")
        .await;

    network.hold(Held::Nothing);
    first.signal(Signal::CONT);
    until("the first has lost the lease", async || !leads(&first).await).await;
    assert_eq!(outbox.sent().await, 1, "none of it was its own to mark");
    assert_eq!(outbox.tap.depth().await, arrived, "nor to publish");

    // It is usable again: as a follower, and then as the leader.
    outbox.execute("UPDATE outbox_messages SET status = 'sent' WHERE id > 1").await;
    drop(second);
    until("the first leads again", async || leads(&first).await).await;
    outbox.append(10, 10).await;
    let arrivals = outbox.finish(first).await;
    arrivals.assert_complete_and_ordered(611);
    assert!((1..=BATCH_SIZE).contains(&arrivals.duplicates()), "{} duplicates", arrivals.duplicates());
}

/// The minute of the day by `process`'s wall clock.
async fn minute(process: &Process) -> i32 {
    let answer = http().get(process.url("/livez")).send().await.unwrap();
    let date = answer.headers()["date"].to_str().unwrap();
    // Tue, 15 Nov 1994 08:12:31 GMT
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap().parse::<i32>().unwrap();
    part(17..19) * 60 + part(20..22)
}

/// For longer than a lease, `leader` publishes and `follower` does not.
async fn assert_stable(outbox: &Outbox, leader: &Process, follower: &Process) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        outbox.append(5, 5).await;
        outbox.until_sent(outbox.rows()).await;
        assert!(leads(leader).await && !leads(follower).await, "one leads, one waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A publisher whose wall clock is `minutes` off, beside one whose clock is right.
async fn a_wall_clock_that_is_off(offset: &'static str, minutes: i32) {
    let Some(faked) = shop_testing::faketime(offset) else { return };
    let Some(outbox) = Outbox::take().await else { return };
    let faked = faked.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut right = outbox.leader(&[]).await;
    let mut wrong = outbox.publisher(&faked).await;
    let off = (minute(&wrong).await - minute(&right).await - minutes).rem_euclid(24 * 60);
    assert!(matches!(off, 0 | 1 | 1439), "the clock is not {offset} off, but {off} minutes from that");

    assert_stable(&outbox, &right, &wrong).await;
    right.kill9();
    let began = Instant::now();
    until("the lease has run out and the other leads", async || leads(&wrong).await).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?} for a lease of 3 s", began.elapsed());

    let right = outbox.publisher(&[]).await;
    assert_stable(&outbox, &wrong, &right).await;
    assert_eq!(wrong.terminate().await.code(), Some(0), "{}", wrong.log());
    until("the lease was given back and the other leads", async || leads(&right).await).await;
    outbox.append(10, 10).await;
    let arrivals = outbox.finish(right).await;
    arrivals.assert_complete_and_ordered(outbox.rows());
    assert_eq!(arrivals.duplicates(), 0);
    assert_eq!(outbox.number("SELECT epoch FROM outbox_publishers").await, 3, "handed over twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_an_hour_ahead_takes_no_lease_and_keeps_none() {
    a_wall_clock_that_is_off("+1h", 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_an_hour_behind_takes_no_lease_and_keeps_none() {
    a_wall_clock_that_is_off("-1h", -60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_told_to_end_in_mid_drain_repeats_nothing_and_hands_over_within_a_second() {
    let Some(outbox) = Outbox::take().await else { return };
    // Makes a lease that is not released easy to notice.
    let mut first = outbox.leader(&[("OUTBOX_LEASE_SECONDS", "60")]).await;
    let second = outbox.publisher(&[("OUTBOX_LEASE_SECONDS", "60")]).await;
    outbox.append(10_000, 1_000).await;
    until("a part is published", async || outbox.tap.depth().await > 1_000).await;
    assert_eq!(first.terminate().await.code(), Some(0), "{}", first.log());
    let (ended, sent) = (Instant::now(), outbox.sent().await);
    assert!(sent < outbox.rows(), "it ended in the middle");
    until("the second leads", async || leads(&second).await).await;
    // A second, plus one for a busy machine.
    assert!(ended.elapsed() < Duration::from_secs(2), "handed over after {:?}", ended.elapsed());
    let arrivals = outbox.finish(second).await;
    arrivals.assert_complete_and_ordered(outbox.rows());
    assert_eq!(arrivals.duplicates(), 0, "what was in flight was finished and marked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_whatever_the_backlog() {
    const BACKLOG: usize = 200_000;
    // A part is enough to see a leak; a debug binary needs minutes for all.
    const DRAINED: usize = 20_000;
    let Some(outbox) = Outbox::take().await else { return };
    outbox.append(BACKLOG, 10_000).await;
    let mut publisher = outbox.publisher(&[("OUTBOX_BATCH_SIZE", "400")]).await;
    let (began, mut depth) = (Instant::now(), 0);
    // The maximum in KiB while the first tenth was drained, and after it.
    let mut most = [0, 0];
    while depth < DRAINED {
        tokio::time::sleep(Duration::from_millis(50)).await;
        depth = outbox.tap.depth().await;
        let part = usize::from(depth > DRAINED / 10);
        most[part] = publisher.resident().max(most[part]);
        assert!(began.elapsed() < Duration::from_secs(90), "only {depth}, with {most:?} KiB");
    }
    let [first, rest] = most.map(|most| most / 1024);
    println!("{depth} rows in {:?}: {first} MiB at first, {rest} MiB at most after it", began.elapsed());
    assert!(rest < 64, "{rest} MiB");
    assert!(rest < first + 8, "{first} MiB at first, {rest} MiB later");
    assert_eq!(publisher.terminate().await.code(), Some(0), "{}", publisher.log());
    let arrivals = outbox.arrivals().await;
    arrivals.assert_complete_and_ordered(outbox.sent().await);
    assert_eq!(arrivals.duplicates(), 0);
}
