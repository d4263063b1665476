//! What publishing by controllers survives: leaders that end, crash, freeze, or are cut off.

use std::time::Duration;

use rustix::process::Signal;
use shop_testing::Held;
use tokio::time::Instant;

use crate::support::{
    Controlled, Outbox,
    controlled::{LEASE, publishes},
};

/// Appends a few rows every few milliseconds, until `done`.
async fn orders_flow(controlled: &Controlled, done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < Duration::from_secs(40), "timed out");
        controlled.outbox.append(3, 3).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lets orders flow for a while.
async fn orders_flow_on(controlled: &Controlled) {
    let began = Instant::now();
    orders_flow(controlled, async || began.elapsed() > Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_told_to_end_hands_over_within_a_second() {
    let Some(controlled) = Controlled::take().await else { return };
    let mut first = controlled.leader("first", &[]).await;
    let second = controlled.controller("second", &[]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    orders_flow_on(&controlled).await;
    let (ended, ()) =
        tokio::join!(first.terminate(), orders_flow(&controlled, async || publishes(&second).await));
    assert_eq!(ended.code(), Some(0), "{}", first.log());
    orders_flow_on(&controlled).await;
    let rows = controlled.outbox.rows();
    let arrivals = controlled.outbox.finish(second).await;
    arrivals.assert_complete_and_ordered(rows);
    assert_eq!(arrivals.duplicates(), 0, "what was in flight was finished and marked");
    let gap = controlled.longest_gap().await;
    println!("planned hand-over: nothing published for {gap:?}");
    // A second, plus one for a busy machine.
    assert!(gap < Duration::from_secs(2), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_leader_is_replaced_after_its_lease() {
    let Some(controlled) = Controlled::take().await else { return };
    let mut first = controlled.leader("first", &[]).await;
    let second = controlled.controller("second", &[]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    orders_flow_on(&controlled).await;
    first.kill9();
    orders_flow(&controlled, async || publishes(&second).await).await;
    orders_flow_on(&controlled).await;
    let rows = controlled.outbox.rows();
    let arrivals = controlled.outbox.finish(second).await;
    arrivals.assert_complete_and_ordered(rows);
    let gap = controlled.longest_gap().await;
    println!("crash: nothing published for {gap:?}, with a Lease of {LEASE:?}");
    assert!(gap < LEASE + Duration::from_secs(3), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_stopped_past_its_lease_and_woken_publishes_nothing_more() {
    let Some(controlled) = Controlled::take().await else { return };
    let first = controlled.leader("first", &[]).await;
    let second = controlled.controller("second", &[]).await;
    orders_flow_on(&controlled).await;
    first.signal(Signal::STOP);
    orders_flow(&controlled, async || publishes(&second).await).await;
    first.signal(Signal::CONT);
    orders_flow(&controlled, async || !publishes(&first).await).await;
    orders_flow_on(&controlled).await;
    assert!(publishes(&second).await);
    controlled.outbox.until_sent(controlled.outbox.rows()).await;
    drop(second);
    // It is usable again.
    orders_flow(&controlled, async || publishes(&first).await).await;
    let rows = controlled.outbox.rows();
    controlled.outbox.finish(first).await.assert_complete_and_ordered(rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_cut_off_from_the_api_makes_room() {
    let Some(controlled) = Controlled::take().await else { return };
    let network = controlled.cluster.proxy().await;
    let kubeconfig = controlled.cluster.kubeconfig_through(&network, None).to_string_lossy().into_owned();
    let first = controlled.leader("first", &[("KUBECONFIG", &kubeconfig)]).await;
    let second = controlled.controller("second", &[]).await;
    orders_flow_on(&controlled).await;
    network.hold(Held::Everything);
    orders_flow(&controlled, async || publishes(&second).await).await;
    assert!(!publishes(&first).await, "it stopped before another could begin");
    orders_flow_on(&controlled).await;
    network.hold(Held::Nothing);
    controlled.outbox.until_sent(controlled.outbox.rows()).await;
    drop(second);
    orders_flow(&controlled, async || publishes(&first).await).await;
    let rows = controlled.outbox.rows();
    let arrivals = controlled.outbox.finish(first).await;
    arrivals.assert_complete_and_ordered(rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_away_stops_publishing_and_loses_nothing() {
    let Some((server, cluster)) = shop_testing::private_kubernetes().await else { return };
    let Some(outbox) = Outbox::take().await else { return };
    let controlled = Controlled::on(cluster, outbox).await;
    controlled.apply(&controlled.object()).await;
    let first = controlled.leader("first", &[]).await;
    let second = controlled.controller("second", &[]).await;
    let leaders = async || u8::from(publishes(&first).await) + u8::from(publishes(&second).await);
    orders_flow_on(&controlled).await;
    server.freeze().await;
    orders_flow(&controlled, async || leaders().await == 0).await;
    server.thaw().await;
    orders_flow(&controlled, async || leaders().await == 1).await;
    server.kill9().await;
    orders_flow(&controlled, async || leaders().await == 0).await;
    server.start().await;
    orders_flow(&controlled, async || leaders().await == 1).await;
    controlled.outbox.until_sent(controlled.outbox.rows()).await;
    let rows = controlled.outbox.rows();
    drop(first);
    controlled.outbox.finish(second).await.assert_complete_and_ordered(rows);
}
