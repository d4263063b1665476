//! Who is warned, and when: a first installation causes no warnings, an outage is reported as what it is, and numbers are current.

use std::time::Duration;

use serde_json::json;
use shop_testing::{Held, servers::Durability};
use tokio::time::{Instant, sleep};

use crate::support::{
    Controlled, Outbox,
    controlled::{LEASE, ORDERS},
    outbox::until,
};

/// The reasons of all Events about the object that are Warnings.
async fn warnings(controlled: &Controlled, name: &str) -> Vec<String> {
    let field = format!("--field-selector=involvedObject.name={name},type=Warning");
    let reasons = "--output=jsonpath={.items[*].reason}";
    let warnings = controlled.cluster.kubectl(&["get", "events", &field, reasons]).await;
    warnings.split_whitespace().map(str::to_owned).collect()
}

async fn reason(controlled: &Controlled) -> String {
    let status = controlled.status(ORDERS).await;
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    ready.map(|ready| ready["reason"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_installation_gets_no_warnings() {
    let Some(controlled) = Controlled::empty().await else { return };
    let _controller = controlled.controller("one", &[]).await;
    // The Secret, the database and the broker are created one after the other.
    let mut object = controlled.object();
    object["spec"]["database"]["secretRef"]["name"] = json!("later");
    controlled.apply(&object).await;
    controlled.until_condition(ORDERS, "Ready", "False", "SecretNotFound").await;
    controlled.secret("later", "uri", "postgresql://shop@127.0.0.1:1/shop").await;
    controlled.until_condition(ORDERS, "Ready", "False", "DatabaseUnreachable").await;
    controlled.secret("broker", "connection_string", "amqp://guest:guest@127.0.0.1:1/%2f").await;
    controlled.secret("later", "uri", &controlled.outbox.postgres.url).await;
    controlled.until_condition(ORDERS, "Ready", "False", "BrokerUnreachable").await;
    controlled.secret("broker", "connection_string", &controlled.outbox.rabbitmq.url).await;
    controlled.until_condition(ORDERS, "Ready", "True", "Publishing").await;
    controlled.until_event(ORDERS, "PublishingResumed").await;
    assert_eq!(warnings(&controlled, ORDERS).await, Vec::<String>::new());
    // From now on it is an outage.
    controlled.secret("broker", "connection_string", "amqp://guest:guest@127.0.0.1:1/%2f").await;
    controlled.until_event(ORDERS, "BrokerUnreachable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_that_does_not_start_to_work_gets_a_warning_after_a_minute() {
    let Some(controlled) = Controlled::empty().await else { return };
    controlled.secret("broker", "connection_string", "amqp://guest:guest@127.0.0.1:1/%2f").await;
    let _controller = controlled.controller("one", &[]).await;
    controlled.apply(&controlled.object()).await;
    let made = Instant::now();
    controlled.until_condition(ORDERS, "Ready", "False", "BrokerUnreachable").await;
    while made.elapsed() < Duration::from_secs(57) {
        assert_eq!(warnings(&controlled, ORDERS).await, Vec::<String>::new(), "after {:?}", made.elapsed());
        sleep(Duration::from_secs(2)).await;
    }
    controlled.until_event(ORDERS, "BrokerUnreachable").await;
    assert!(made.elapsed() < Duration::from_secs(80), "{:?}", made.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_away_for_longer_than_the_lease_is_no_other_publisher() {
    let Some(cluster) = shop_testing::kubernetes().await else { return };
    let Some(server) = shop_testing::private_postgres(Durability::Durable).await else { return };
    let Some(outbox) = Outbox::at(&server.url).await else { return };
    let controlled = Controlled::on(cluster, outbox).await;
    controlled.apply(&controlled.object()).await;
    let _controller = controlled.leader("one", &[]).await;
    let _follower = controlled.controller("two", &[]).await;
    let never_another = async |lasts: Duration| {
        let began = Instant::now();
        while began.elapsed() < lasts {
            assert_ne!(reason(&controlled).await, "AnotherPublisher");
            sleep(Duration::from_millis(200)).await;
        }
    };
    for frozen in [true, false] {
        if frozen {
            server.freeze().await;
        } else {
            server.kill9().await;
        }
        never_another(3 * LEASE).await;
        let (message, _) = controlled.until_condition(ORDERS, "Ready", "False", "DatabaseUnreachable").await;
        let cause = if frozen { "no answer" } else { "nothing listens there: Connection refused" };
        assert!(message.contains(cause), "{message}");
        if frozen {
            server.thaw().await;
        } else {
            server.start().await;
        }
        controlled.until_condition(ORDERS, "Ready", "True", "Publishing").await;
        never_another(LEASE).await;
        controlled.outbox.append(3, 3).await;
        controlled.outbox.until_sent(controlled.outbox.rows()).await;
    }
    assert_eq!(warnings(&controlled, ORDERS).await, ["DatabaseUnreachable", "DatabaseUnreachable"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_broker_has_not_missed_yet_is_no_other_publisher() {
    let Some(controlled) = Controlled::empty().await else { return };
    let network = shop_testing::Proxy::to(&controlled.outbox.rabbitmq.url).await;
    controlled.secret("broker", "connection_string", network.url()).await;
    controlled.apply(&controlled.object()).await;
    let controller = controlled.leader("one", &[]).await;
    let _follower = controlled.controller("two", &[]).await;
    // It is gone silently, and the broker still holds its exclusive queue.
    controller.signal(rustix::process::Signal::STOP);
    network.hold_of(controller.id(), Held::Everything);
    let began = Instant::now();
    until("the other publishes", async || {
        assert_ne!(reason(&controlled).await, "AnotherPublisher");
        began.elapsed() > LEASE && reason(&controlled).await == "Publishing"
    })
    .await;
    assert!(!warnings(&controlled, ORDERS).await.contains(&"AnotherPublisher".to_owned()));
    controller.signal(rustix::process::Signal::CONT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_shown_no_later_than_ten_seconds_while_it_changes() {
    let Some(controlled) = Controlled::take().await else { return };
    let _controller = controlled.leader("one", &[]).await;
    let mut paused = controlled.object();
    paused["spec"]["paused"] = json!(true);
    let network = shop_testing::Proxy::to(&controlled.outbox.rabbitmq.url).await;
    let shown = async || controlled.status(ORDERS).await["pending"].as_u64().unwrap_or_default();
    for object in [paused, controlled.object()] {
        controlled.apply(&object).await;
        if object["spec"]["paused"] != true {
            // Nor if the broker accepts nothing.
            controlled.secret("broker", "connection_string", network.url()).await;
            controlled.until_condition(ORDERS, "Ready", "True", "Publishing").await;
            network.hold(Held::Everything);
        } else {
            controlled.until_condition(ORDERS, "Ready", "True", "Paused").await;
        }
        let before =
            controlled.outbox.number("SELECT count(*) FROM outbox_messages WHERE status = 'pending'").await;
        // How many there were, and since when.
        let mut history = vec![(Instant::now(), before as u64)];
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(25) {
            controlled.outbox.append(1, 1).await;
            history.push((Instant::now(), history.last().unwrap().1 + 1));
            let shown = shown().await;
            let ten_ago = history.iter().rfind(|(at, _)| at.elapsed() > Duration::from_secs(10));
            if let Some((at, least)) = ten_ago {
                assert!(shown >= *least, "{shown} are shown, there were {least} {:?} ago", at.elapsed());
            }
            sleep(Duration::from_millis(300)).await;
        }
        network.hold(Held::Nothing);
    }
}
