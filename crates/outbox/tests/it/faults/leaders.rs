//! Several publishers that each believe to be the one.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use shop_outbox::{Tenure, Trouble, boottime};
use shop_testing::{Held, Proxy};
use tokio::time::Instant;

use crate::support::{Fixture, Running};

/// A lease that has run out, whatever its holder thinks.
const EXPIRED: &str =
    "UPDATE outbox_publishers SET lease_expires_at = clock_timestamp() - interval '1 second'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_oust_each_other_lose_nothing_and_keep_the_order() {
    const ROUNDS: usize = 5;
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut options = Fixture::options("one");
    options.batch_size = 20;
    let batch_size = options.batch_size;
    let one = fixture.run(options.clone()).await;
    let two = fixture.run(options).await;
    let mut version = 0;
    let mut append_to_all = async || {
        version += 1;
        for aggregate in ["a", "b", "c", "d", "e"] {
            fixture.append(aggregate, version).await;
        }
    };
    fixture.until_number("SELECT count(*) FROM outbox_publishers", 1).await;
    for _ in 0..ROUNDS {
        let epoch = fixture.number("SELECT epoch FROM outbox_publishers").await;
        // Both at work until the first one's next mark, and a little beyond. Again and again, for it may renew its lease.
        while fixture.number("SELECT epoch FROM outbox_publishers").await == epoch {
            fixture.execute(EXPIRED).await;
            append_to_all().await;
        }
        for _ in 0..5 {
            append_to_all().await;
        }
    }
    let rows = 5 * version as usize;
    fixture.until("sent", rows).await;
    queue.until(rows).await;
    one.stop().await;
    two.stop().await;
    queue.assert_ordered();
    let ousted = fixture.number("SELECT epoch FROM outbox_publishers").await - 1;
    assert!(
        queue.duplicates() <= ousted * batch_size,
        "{} duplicates of {ousted} leaders",
        queue.duplicates()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_waits_while_another_takes_over_marks_nothing() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut running = fixture.run(Fixture::options("one")).await;
    running.leading().await;
    let other = fixture.database.begin().await.unwrap();
    other.execute_unprepared("SELECT FROM outbox_publishers FOR UPDATE").await.unwrap();
    fixture.append("a", 1).await;
    queue.until(1).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'";
    fixture.until_number(waiting, 1).await;
    other
        .execute_unprepared(
            "UPDATE outbox_publishers SET epoch = epoch + 1, lease_expires_at = now() + interval '1 hour'",
        )
        .await
        .unwrap();
    other.commit().await.unwrap();
    let lost = running.progress.wait_for(|progress| !progress.leading);
    tokio::time::timeout(Duration::from_secs(10), lost).await.unwrap().unwrap();
    assert_eq!(fixture.rows().await, [("pending".to_owned(), 0)], "confirmed, and no more its own to mark");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_database_is_silent_makes_room_after_its_lease() {
    let Some(database) = shop_testing::postgres().await else { return };
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let network = Proxy::to(&database.url).await;
    let fixture = Fixture::on(&database.url, &broker.url).await;
    let behind = Fixture::on(network.url(), &broker.url).await;
    let queue = fixture.queue("all", "#").await;
    let options = |name| {
        let mut options = Fixture::options(name);
        options.lease = Duration::from_secs(2);
        options
    };
    let mut one = behind.run(options("one")).await;
    one.leading().await;
    fixture.append("a", 1).await;
    queue.until(1).await;
    network.hold(Held::Everything);
    let began = Instant::now();
    let two = fixture.run(options("two")).await;
    for version in 2..=10 {
        fixture.append("a", version).await;
    }
    fixture.until("sent", 10).await;
    assert!(began.elapsed() < Duration::from_secs(15), "replaced after {:?}", began.elapsed());
    assert!(!one.progress.borrow().leading);
    network.hold(Held::Nothing);
    one.stop().await;
    two.stop().await;
    queue.until(10).await;
    queue.assert_ordered();
}

fn tenure(seconds: u64) -> Tenure {
    Tenure::new(boottime(), Duration::from_secs(seconds))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_elected_publisher_takes_over_at_once_and_ends_with_its_tenure() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut one = Running::elected(fixture.publisher(Fixture::options("one")).await, tenure(60));
    one.leading().await;
    fixture.append("a", 1).await;
    fixture.until("sent", 1).await;
    // Its lease in the database lasts for seconds yet, and its connection holds the broker's fence until it finds out.
    let second = tenure(60);
    let mut two = Running::elected(fixture.publisher(Fixture::options("two")).await, second.clone());
    let taken = fixture.number("SELECT epoch FROM outbox_publishers").await;
    two.leading().await;
    assert!(fixture.number("SELECT epoch FROM outbox_publishers").await > taken || taken == 2);
    one.stop().await;
    fixture.append("a", 2).await;
    fixture.until("sent", 2).await;
    second.end();
    two.ended().await;
    fixture.append("a", 3).await;
    let idle = tokio::time::timeout(Duration::from_secs(1), fixture.until("sent", 3)).await;
    assert!(idle.is_err(), "it went on after its tenure");
    let three = Running::elected(fixture.publisher(Fixture::options("three")).await, tenure(60));
    fixture.until("sent", 3).await;
    three.stop().await;
    queue.until(3).await;
    queue.assert_ordered();
}

/// Takes the lease away from whoever has it.
fn taken_by(holder: &str, epochs: i64) -> String {
    format!(
        "UPDATE outbox_publishers SET epoch = epoch + {epochs}, holder = '{holder}',
                lease_expires_at = clock_timestamp() + interval '1 hour'"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_elected_publisher_that_is_taken_over_from_says_so_and_comes_back() {
    let Some(fixture) = Fixture::real().await else { return };
    let tenure = tenure(60);
    let mut running = Running::elected(fixture.publisher(Fixture::options("one")).await, tenure.clone());
    running.leading().await;
    fixture.execute(&taken_by("another", 1)).await;
    // Whoever elected it still does.
    let renewing = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            tenure.extend(boottime(), Duration::from_secs(60));
        }
    };
    let rival = running.progress.wait_for(|progress| matches!(progress.trouble, Some(Trouble::Rival(_))));
    tokio::select! {
        () = renewing => {}
        told = tokio::time::timeout(Duration::from_secs(10), rival) => {
            let trouble = told.unwrap().unwrap().trouble.clone().unwrap().to_string();
            assert!(trouble.contains("\"another\""), "{trouble}");
        }
    }
    running.leading().await;
    assert!(running.progress.borrow().epoch > 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_other_publisher_is_not_told_as_one() {
    let Some(fixture) = Fixture::real().await else { return };
    let tenure = tenure(60);
    let mut running = Running::elected(fixture.publisher(Fixture::options("one")).await, tenure.clone());
    // Its own takeover that was not answered; a backup from before it; an outbox that was made anew.
    for (lost, statement) in
        [taken_by("one", 1), taken_by("another", -1), "DELETE FROM outbox_publishers".to_owned()]
            .into_iter()
            .enumerate()
    {
        running.leading().await;
        let before = running.progress.borrow().epoch;
        fixture.execute(&statement).await;
        let began = Instant::now();
        loop {
            tenure.extend(boottime(), Duration::from_secs(60));
            let progress = running.progress.borrow().clone();
            assert!(!matches!(progress.trouble, Some(Trouble::Rival(_))), "{lost}: {:?}", progress.trouble);
            // The outbox that was made anew begins with the first epoch again.
            if progress.publishing && (progress.epoch != before || began.elapsed() > Duration::from_secs(5)) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{lost}: it does not come back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fixture.append("a", lost as i64 + 1).await;
        fixture.until("sent", lost + 1).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_elected_instead_is_no_rival() {
    let Some(fixture) = Fixture::real().await else { return };
    let tenure = tenure(60);
    let mut running = Running::elected(fixture.publisher(Fixture::options("one")).await, tenure.clone());
    running.leading().await;
    fixture.execute(&taken_by("another", 1)).await;
    let ended = running.progress.wait_for(|progress| !progress.leading);
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap();
    // The next renewal is refused.
    tokio::time::sleep(Duration::from_millis(500)).await;
    tenure.end();
    let progress = running.progress.clone();
    running.ended().await;
    assert_eq!(progress.borrow().trouble, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cause_is_told_and_not_that_a_pool_has_waited() {
    let Some(server) = shop_testing::private_postgres(shop_testing::servers::Durability::Fast).await else {
        return;
    };
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let fixture = Fixture::on(&server.url, &broker.url).await;
    let mut options = Fixture::options("one");
    options.lease = Duration::from_secs(2);
    let mut running = fixture.run(options).await;
    running.leading().await;
    let told = async |running: &mut Running, words: &str| {
        let told = running.progress.wait_for(|progress| {
            progress.trouble.as_ref().is_some_and(|trouble| trouble.to_string().contains(words))
        });
        let told = tokio::time::timeout(Duration::from_secs(25), told).await.map(drop);
        assert!(told.is_ok(), "no {words:?}: {:?}", running.progress.borrow().trouble);
    };
    server.kill9().await;
    told(&mut running, "nothing listens there").await;
    server.start().await;
    running.leading().await;
    server.freeze().await;
    told(&mut running, "no answer").await;
    server.thaw().await;
    running.leading().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_publisher_leaves_the_leader_alone() {
    let Some(fixture) = Fixture::real().await else { return };
    let mut running = fixture.run(Fixture::options("one")).await;
    running.leading().await;
    let mut follower = fixture.publisher(Fixture::options("two")).await;
    for _ in 0..2 {
        follower.warm_up(Duration::from_secs(5)).await.unwrap();
    }
    fixture.append("a", 1).await;
    fixture.until("sent", 1).await;
    assert!(running.progress.borrow().trouble.is_none());
    running.stop().await;
    let began = Instant::now();
    let mut next = Running::elected(follower, tenure(60));
    next.leading().await;
    fixture.append("a", 2).await;
    fixture.until("sent", 2).await;
    println!("a warm follower's first event is marked after {:?}", began.elapsed());
    next.stop().await;
}
