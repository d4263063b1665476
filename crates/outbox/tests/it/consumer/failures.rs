//! What cannot be handled is tried again, set aside, or waited for; and somebody is told.

use std::time::Duration;

use shop_messaging::{Broker, Failure, Subscription};
use shop_outbox::consumer::{Consumer, Misplaced, Options, Stuck, Unknown};

use super::kit::{
    Keep, QUEUE, Replica, dead, effects, event, eventually, prepare, prepare_with, send, subscription,
    until_effects,
};
use crate::support::Fixture;

on_both!(
    what_cannot_be_read_is_set_aside_at_once,
    what_always_fails_is_set_aside_and_comes_back_when_it_is_replayed,
    an_attempt_that_takes_too_long_is_rolled_back_and_repeated,
    a_panic_is_a_failed_attempt,
    a_commit_that_fails_is_a_failed_attempt,
    unknown_events_are_ignored_or_set_aside_as_it_is_set,
    a_message_without_a_type_is_known_by_its_routing_key,
    a_consumer_whose_every_message_fails_is_stuck,
    a_handler_that_would_not_be_called_is_refused,
);

async fn what_cannot_be_read_is_set_aside_at_once(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let replica = Replica::start(&fixture, Keep::all()).await;
    let mut broken = event("a", 1);
    broken.payload = r#"{"aggregate":7}"#.into();
    send(&fixture, &[broken.clone(), event("a", 2)]).await;
    replica.until_metric("dead_total", 1).await;
    until_effects(&fixture, 1).await;
    assert_eq!(replica.metric("retried_total"), 0);
    eventually("the dead letter", async || dead(&fixture).await == [broken.id]).await;
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 2)]);
}

async fn what_always_fails_is_set_aside_and_comes_back_when_it_is_replayed(fixture: Fixture) {
    let subscription = Subscription { delivery_limit: 3, ..subscription() };
    prepare(&fixture, &subscription).await;
    let poison = event("a", 1);
    let refuses = |event: shop_outbox::consumer::Received<super::kit::Changed>| async move {
        if event.payload.version == 1 { Err(Failure::retry("never")) } else { Ok(()) }
    };
    let replica =
        Replica::with(&fixture, subscription.clone(), Options::default(), Keep::after(refuses)).await;
    send(&fixture, &[poison.clone(), event("a", 2), event("b", 2)]).await;
    replica.until_metric("dead_total", 1).await;
    until_effects(&fixture, 2).await;
    assert_eq!(replica.metric("retried_total"), 2);
    eventually("the dead letter", async || dead(&fixture).await == [poison.id]).await;
    replica.stop().await;

    let replica = Replica::with(&fixture, subscription, Options::default(), Keep::all()).await;
    assert!(fixture.broker.replay_dead_letter(QUEUE, poison.id).await.unwrap());
    until_effects(&fixture, 3).await;
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await.last().unwrap(), &("a".to_owned(), 1));
}

async fn an_attempt_that_takes_too_long_is_rolled_back_and_repeated(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let options = Options { time_limit: Duration::from_millis(500), ..Options::default() };
    let hangs_at_first = |event: shop_outbox::consumer::Received<super::kit::Changed>| async move {
        if event.attempt == 1 { std::future::pending().await } else { Ok(()) }
    };
    let replica = Replica::with(&fixture, subscription(), options, Keep::after(hangs_at_first)).await;
    send(&fixture, &[event("a", 1)]).await;
    replica.until_metric("handled_total", 1).await;
    assert_eq!(replica.metric("retried_total"), 1);
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 1)]);
}

async fn a_panic_is_a_failed_attempt(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let panics_at_first = |event: shop_outbox::consumer::Received<super::kit::Changed>| async move {
        assert!(event.attempt > 1, "as the test wants");
        Ok(())
    };
    let replica = Replica::start(&fixture, Keep::after(panics_at_first)).await;
    send(&fixture, &[event("a", 1)]).await;
    replica.until_metric("handled_total", 1).await;
    assert_eq!(replica.metric("retried_total"), 1);
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 1)]);
}

/// The database checks a deferred constraint at the commit, so no statement before it fails.
async fn a_commit_that_fails_is_a_failed_attempt(fixture: Fixture) {
    fixture.execute("CREATE TABLE known (aggregate text PRIMARY KEY)").await;
    let checked = "aggregate text NOT NULL REFERENCES known (aggregate) DEFERRABLE INITIALLY DEFERRED";
    prepare_with(&fixture, &subscription(), checked).await;
    let replica = Replica::start(&fixture, Keep::all()).await;
    send(&fixture, &[event("a", 1)]).await;
    replica.until_metric("retried_total", 1).await;
    assert_eq!(effects(&fixture.database).await, []);
    fixture.execute("INSERT INTO known VALUES ('a')").await;
    replica.until_metric("handled_total", 1).await;
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 1)]);
}

async fn unknown_events_are_ignored_or_set_aside_as_it_is_set(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let mut stranger = event("a", 1);
    stranger.kind = "thing_painted".to_owned();
    stranger.routing_key = "thing.painted".to_owned();
    let replica = Replica::start(&fixture, Keep::all()).await;
    send(&fixture, &[stranger.clone()]).await;
    let counted = async || replica.metric_of("ignored_total", "event_type=\"unknown\"") == 1;
    eventually("ignored", counted).await;
    replica.stop().await;
    assert!(dead(&fixture).await.is_empty());

    let options = Options { unknown: Unknown::Reject, ..Options::default() };
    let replica = Replica::with(&fixture, subscription(), options, Keep::all()).await;
    send(&fixture, &[stranger.clone()]).await;
    eventually("the dead letter", async || dead(&fixture).await == [stranger.id]).await;
    replica.stop().await;
}

async fn a_message_without_a_type_is_known_by_its_routing_key(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let mut untyped = event("a", 1);
    untyped.kind = String::new();
    let replica = Replica::start(&fixture, Keep::all()).await;
    send(&fixture, &[untyped]).await;
    replica.until_metric("handled_total", 1).await;
    replica.stop().await;
}

async fn a_consumer_whose_every_message_fails_is_stuck(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let patience = Duration::from_secs(1);
    let never = |_| async { Err(Failure::retry("the warehouse is closed")) };
    let replica = Replica::start(&fixture, Keep::after(never)).await;
    eventually("the connection", async || replica.progress.borrow().connected).await;
    replica.progress.borrow().check(Duration::ZERO).unwrap();
    send(&fixture, &[event("a", 1), event("b", 1)]).await;
    eventually("being stuck", async || replica.progress.borrow().check(patience).is_err()).await;
    let stuck = replica.progress.borrow().check(patience).unwrap_err();
    assert!(
        matches!(&stuck, Stuck::Failing(age, error) if *age > patience && error.contains("closed")),
        "{stuck}"
    );
    replica.stop().await;
}

async fn a_handler_that_would_not_be_called_is_refused(fixture: Fixture) {
    let consumer = |patterns: &[&str]| {
        let subscription = Subscription::new("events", QUEUE, patterns.to_vec());
        Consumer::new(fixture.broker.clone(), fixture.database.clone(), subscription, Options::default())
    };
    let elsewhere = consumer(&["order.*"]).on(Keep::all()).err();
    let not_subscribed = Misplaced::NotSubscribed { queue: QUEUE.to_owned(), routing_key: "thing.changed" };
    assert_eq!(elsewhere, Some(not_subscribed));
    let twice = consumer(&["thing.*"]).on(Keep::all()).unwrap().on(Keep::all()).err();
    assert_eq!(twice, Some(Misplaced::Taken("thing_changed")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_without_a_broker_is_stuck_until_it_is_there() {
    let Some(broker) = shop_testing::rabbitmq().await else { return };
    let proxy = shop_testing::Proxy::to(&broker.url).await;
    let fixture = Fixture::embedded().await;
    prepare(&fixture, &subscription()).await;
    let patience = Duration::from_secs(1);
    proxy.switch_to("amqp://127.0.0.1:1");
    let replica = Replica::run(
        Broker::open(proxy.url(), None).unwrap(),
        fixture.another_connection().await,
        subscription(),
        Options::default(),
        Keep::all(),
    );
    eventually("being stuck", async || replica.progress.borrow().check(patience).is_err()).await;
    let stuck = replica.progress.borrow().check(patience).unwrap_err();
    assert!(matches!(stuck, Stuck::Disconnected(..)), "{stuck}");
    proxy.switch_to(&broker.url);
    eventually("the connection", async || replica.progress.borrow().check(Duration::ZERO).is_ok()).await;
    replica.stop().await;
}
