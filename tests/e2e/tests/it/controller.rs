//! What the controller does with objects, and what it reports about them.

use serde_json::{Value, json};

use crate::support::{
    Controlled,
    controlled::{ORDERS, publishes},
    http,
    outbox::until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_published_and_its_status_tells_of_it() {
    let Some(controlled) = Controlled::take().await else { return };
    let mut controller = controlled.leader("one", &[]).await;
    controlled.until_condition(ORDERS, "Ready", "True", "Publishing").await;
    let health: Value = http().get(controller.url("/health")).send().await.unwrap().json().await.unwrap();
    assert_eq!(health["service"], "outbox_publisher", "as in compose");
    controlled.outbox.append(20, 5).await;
    controlled.outbox.until_sent(21).await;
    until("the status counts them", async || controlled.status(ORDERS).await["published"] == 21).await;
    let status = controlled.status(ORDERS).await;
    assert!(status["leader"].as_str().unwrap().starts_with("one_"), "{status}");
    assert_eq!((&status["pending"], &status["dead"], &status["epoch"]), (&json!(0), &json!(0), &json!(1)));
    assert_eq!(status["oldestPendingAge"], "0s");
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(status["leader"], controlled.holder(ORDERS).await);

    let table = controlled.cluster.kubectl(&["get", "obp"]).await;
    println!("{table}{}", controlled.cluster.kubectl(&["describe", "obp"]).await);
    println!("{}", controlled.cluster.kubectl(&["get", "events,leases"]).await);
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "READY", "REASON", "LEADER", "PENDING", "DEAD", "LAG", "AGE"], "{table}");
    assert!(table.contains("True") && table.contains("Publishing"), "{table}");

    assert_eq!(controller.terminate().await.code(), Some(0), "{}", controller.log());
    assert_eq!(controlled.holder(ORDERS).await, "", "the Lease is given back");
    controlled.until_condition(ORDERS, "Ready", "Unknown", "NoLeader").await;
    assert_eq!(controlled.status(ORDERS).await["leader"], json!(null));
    assert_eq!(controlled.events(ORDERS).await, ["LeaderElected"]);
    controlled.outbox.arrivals().await.assert_complete_and_ordered(21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_object_waits_and_goes_on_where_it_was() {
    let Some(controlled) = Controlled::take().await else { return };
    let controller = controlled.leader("one", &[]).await;
    let pause = |paused: bool| json!({ "spec": { "paused": paused } }).to_string();
    let patch = async |patch: &str| {
        controlled.cluster.kubectl(&["patch", "obp", ORDERS, "--type=merge", "--patch", patch]).await;
    };
    patch(&pause(true)).await;
    controlled.until_condition(ORDERS, "Publishing", "False", "Paused").await;
    controlled.until_condition(ORDERS, "Ready", "True", "Paused").await;
    controlled.outbox.append(10, 5).await;
    until("the status counts what waits", async || controlled.status(ORDERS).await["pending"] == 10).await;
    assert_eq!(controlled.outbox.sent().await, 1);
    patch(&pause(false)).await;
    controlled.outbox.until_sent(11).await;
    controlled.until_condition(ORDERS, "Publishing", "True", "Publishing").await;
    controlled.until_event(ORDERS, "PublishingResumed").await;
    assert!(publishes(&controller).await);
    let arrivals = controlled.outbox.finish(controller).await;
    arrivals.assert_complete_and_ordered(11);
    assert_eq!(arrivals.duplicates(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_annotation_has_dead_messages_tried_again() {
    let Some(controlled) = Controlled::take().await else { return };
    let controller = controlled.leader("one", &[]).await;
    controlled
        .outbox
        .execute(
            "UPDATE outbox_messages SET status = 'dead', attempts = 10, last_error = 'as the test wants'",
        )
        .await;
    let (message, _) = controlled.until_condition(ORDERS, "Degraded", "True", "MessagesDead").await;
    assert!(message.contains("outbox.shop.dev/redrive"), "{message}");
    controlled.until_event(ORDERS, "MessagesDead").await;
    let annotate = async |nonce: &str| {
        let annotation = format!("outbox.shop.dev/redrive={nonce}");
        controlled.cluster.kubectl(&["annotate", "--overwrite", "obp", ORDERS, &annotation]).await;
        until("the redrive is acknowledged", async || {
            controlled.status(ORDERS).await["redrive"]["nonce"] == nonce
        })
        .await;
        controlled.status(ORDERS).await["redrive"]["count"].as_i64().unwrap()
    };
    assert_eq!(annotate("first").await, 1);
    controlled.outbox.until_sent(1).await;
    controlled.until_condition(ORDERS, "Degraded", "False", "AsExpected").await;
    assert_eq!(annotate("second").await, 0, "nothing is dead any more");
    until("each redrive is reported", async || {
        controlled.events(ORDERS).await.iter().filter(|event| *event == "Redriven").count() == 2
    })
    .await;
    drop(controller);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_object_is_published_no_more_and_leaves_the_data() {
    let Some(controlled) = Controlled::take().await else { return };
    let mut controller = controlled.leader("one", &[]).await;
    controlled.cluster.kubectl(&["delete", "obp", ORDERS]).await;
    until("it stops", async || !controller.metrics().await.contains("outboxpublisher=")).await;
    controlled.outbox.append(5, 5).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(controlled.outbox.sent().await, 1, "and what was there is there");
    controlled.apply(&controlled.object()).await;
    controlled.outbox.until_sent(6).await;
    assert_eq!(controller.terminate().await.code(), Some(0), "{}", controller.log());
    controlled.outbox.arrivals().await.assert_complete_and_ordered(6);
}
