//! What the publisher survives, on the real backends.

mod broker;
mod database;
mod leaders;

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use shop_testing::servers::Durability;
use tokio::time::Instant;

use crate::support::{Fixture, message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_commits_late_is_not_skipped() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let late = fixture.another_connection().await.begin().await.unwrap();
    shop_outbox::append(&late, &message("late", 1, "thing.changed")).await.unwrap();
    for version in 1..=20 {
        fixture.append("early", version).await;
    }
    queue.until(20).await;
    late.commit().await.unwrap();
    let seen = queue.until(21).await;
    running.stop().await;
    assert_eq!(seen[20].aggregate, "late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_transaction_and_its_successor_keep_their_order_though_much_was_sent_meanwhile() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let mut sent = 0;
    for (round, prepared) in [(0, false), (1, true)] {
        let slow = fixture.another_connection().await.begin().await.unwrap();
        // A transaction that notifies cannot be prepared.
        slow.execute_unprepared("SET LOCAL outbox.notify = off").await.unwrap();
        shop_outbox::append(&slow, &message("slow", 2 * round + 1, "thing.changed")).await.unwrap();
        let mut slow = Some(slow);
        let name = format!("'{}'", uuid::Uuid::new_v4());
        // For longer than the publisher needs to be sure of what is settled.
        for version in 1..=60 {
            fixture.append(&format!("quick{round}"), version).await;
            tokio::time::sleep(Duration::from_millis(80)).await;
            if prepared && version == 30 {
                let open = slow.take().unwrap();
                open.execute_unprepared(&format!("PREPARE TRANSACTION {name}")).await.unwrap();
            }
        }
        queue.until(sent + 60).await;
        match slow {
            Some(slow) => slow.commit().await.unwrap(),
            None => fixture.execute(&format!("COMMIT PREPARED {name}")).await,
        }
        fixture.append("slow", 2 * round + 2).await;
        sent = queue.until(sent + 62).await.len();
    }
    running.stop().await;
    queue.assert_ordered();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_wakes_a_sleeping_publisher_without_waiting_for_its_poll() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut options = Fixture::options("one");
    options.poll_interval = Duration::from_secs(60);
    let mut running = fixture.run(options).await;
    running.leading().await;
    for version in 1..=3 {
        // Long enough for it to fall asleep again.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let began = Instant::now();
        fixture.append("a", version).await;
        queue.until(version as usize).await;
        assert!(began.elapsed() < Duration::from_secs(2), "woken after {:?}", began.elapsed());
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_to_wake_the_publisher_and_rolls_back_is_made_up_for() {
    const ASLEEP: &str = "SELECT last_value FROM outbox_asleep";
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut options = Fixture::options("one");
    // The next look: not before the test has seen what the writer leaves.
    options.poll_interval = Duration::from_secs(6);
    let running = fixture.run(options).await;
    fixture.until_number(ASLEEP, 1).await;
    // Until it trusts in being woken.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let undone = fixture.database.begin().await.unwrap();
    shop_outbox::append(&undone, &message("undone", 1, "thing.changed")).await.unwrap();
    undone.rollback().await.unwrap();
    assert_eq!(fixture.number(ASLEEP).await, 0, "whatever becomes of the transaction");
    fixture.until_number(ASLEEP, 1).await;
    fixture.append("a", 1).await;
    queue.until(1).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_of_an_old_epoch_marks_nothing() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut running = fixture.run(Fixture::options("one")).await;
    running.leading().await;
    // Somebody else took over, while this one believes in its lease.
    fixture
        .execute(
            "UPDATE outbox_publishers SET epoch = epoch + 1, lease_expires_at = now() + interval '1 hour'",
        )
        .await;
    fixture.append("a", 1).await;
    let lost = running.progress.wait_for(|progress| !progress.leading);
    tokio::time::timeout(Duration::from_secs(10), lost).await.unwrap().unwrap();
    running.stop().await;
    assert_eq!(fixture.rows().await, [("pending".to_owned(), 0)], "not its own to mark");
    assert!(queue.all().len() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_reordered_while_the_broker_is_killed_and_back() {
    let Some(broker) = shop_testing::private_rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    for version in 1..=10 {
        fixture.append("before", version).await;
    }
    queue.until(10).await;
    // RabbitMQ writes the names of its quorum queues to disk some seconds late (a dets table): killed before, it
    // forgets a queue that it has just declared, and that is not what this is about.
    tokio::time::sleep(Duration::from_secs(6)).await;
    broker.kill9().await;
    for version in 1..=30 {
        fixture.append("during", version).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.count("sent").await, 10, "nothing counts as sent without a confirm");
    broker.start().await;
    fixture.until("sent", 40).await;
    queue.until(40).await;
    running.stop().await;
    queue.assert_ordered();
    assert!(fixture.rows().await.iter().all(|(_, attempts)| *attempts == 0), "an outage is no row's fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_ends_by_the_deadline_and_nothing_is_lost() {
    let Some(broker) = shop_testing::private_rabbitmq().await else { return };
    let Some(fixture) = Fixture::with_broker(&broker.url).await else { return };
    let queue = fixture.queue("all", "#").await;
    let mut running = fixture.run(Fixture::options("one")).await;
    fixture.append("a", 1).await;
    queue.until(1).await;
    broker.freeze().await;
    for version in 2..=20 {
        fixture.append("a", version).await;
    }
    let troubled = running.progress.wait_for(|progress| progress.trouble.is_some());
    tokio::time::timeout(Duration::from_secs(10), troubled).await.unwrap().unwrap();
    broker.thaw().await;
    fixture.until("sent", 20).await;
    queue.until(20).await;
    running.stop().await;
    queue.assert_ordered();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_database_sessions_are_replaced() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    for version in 1..=50 {
        fixture.append("a", version).await;
        if version % 10 == 0 {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            fixture.execute(end).await;
        }
    }
    fixture.until("sent", 50).await;
    queue.until(50).await;
    running.stop().await;
    queue.assert_ordered();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_and_back_loses_nothing() {
    let Some(server) = shop_testing::private_postgres(Durability::Durable).await else { return };
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let fixture = Fixture::on(&server.url, &broker.url).await;
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    for version in 1..=20 {
        fixture.append("a", version).await;
    }
    server.kill9().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start().await;
    for version in 21..=40 {
        // The writer's own pool notices late that its sessions are gone.
        while fixture.try_append("a", version).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    fixture.until("sent", 40).await;
    queue.until(40).await;
    running.stop().await;
    queue.assert_ordered();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_poisonous_row_among_many_is_found_and_set_aside() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    // Larger than our own limit lets through: refused here, without a word to the broker.
    let mut poison = message("poison", 1, "thing.changed");
    poison.payload = format!("\"{}\"", "x".repeat(2 * 1024 * 1024));
    let transaction = fixture.database.begin().await.unwrap();
    for n in 1..=100 {
        if n == 50 {
            shop_outbox::append(&transaction, &poison).await.unwrap();
        }
        shop_outbox::append(&transaction, &message(&format!("a{n}"), 1, "thing.changed")).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let running = fixture.run(Fixture::options("one")).await;
    queue.until(100).await;
    fixture.until("dead", 1).await;
    running.stop().await;
    assert_eq!((fixture.count("sent").await, queue.duplicates()), (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_transaction_with_lower_ids_holds_up_nobody_and_arrives_in_the_end() {
    let Some(fixture) = Fixture::real().await else { return };
    let queue = fixture.queue("all", "#").await;
    let running = fixture.run(Fixture::options("one")).await;
    let held = fixture.another_connection().await.begin().await.unwrap();
    held.execute_unprepared("SET LOCAL outbox.notify = off").await.unwrap();
    shop_outbox::append(&held, &message("held", 1, "thing.changed")).await.unwrap();
    let name = uuid::Uuid::new_v4();
    held.execute_unprepared(&format!("PREPARE TRANSACTION '{name}'")).await.unwrap();
    drop(held);
    for version in 1..=20 {
        fixture.append("free", version).await;
    }
    queue.until(20).await;
    fixture.execute(&format!("COMMIT PREPARED '{name}'")).await;
    assert_eq!(queue.until(21).await[20].aggregate, "held");
    running.stop().await;
}
