//! A problem that keeps an object from being published is reported by a condition and an Event, which say what to fix. Once it
//! is fixed, publishing resumes by itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop_testing::Held;

use crate::support::{
    Controlled, Process, Tap,
    controlled::{ORDERS, publishes},
    outbox::until,
};

/// How soon an operator must know, plus some time for a busy machine.
const SOON: Duration = Duration::from_secs(12);

/// Waits until `reason` is reported with these words, and a Warning Event with it.
async fn warned(controlled: &Controlled, name: &str, reason: &str, words: &[&str]) {
    reported(controlled, name, reason, words).await;
    controlled.until_event(name, reason).await;
}

/// Waits until `reason` is reported with these words.
async fn reported(controlled: &Controlled, name: &str, reason: &str, words: &[&str]) {
    let began = Instant::now();
    let message = loop {
        let (message, _) = controlled.until_condition(name, "Ready", "False", reason).await;
        let missing = words.iter().find(|word| !message.contains(**word));
        assert!(began.elapsed() < SOON, "no {missing:?} in {message:?}");
        if missing.is_none() {
            break message;
        }
        // The first error of a broken connection, and then why there is no new one.
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!("{reason} after {:?}: {message}", began.elapsed());
    assert!(!message.contains("guest:guest") && !message.contains("s3cret"), "a secret in {message:?}");
}

async fn well_again(controlled: &Controlled, name: &str) {
    controlled.until_condition(name, "Ready", "True", "Publishing").await;
    controlled.outbox.append(5, 5).await;
    controlled.outbox.until_sent(controlled.outbox.rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_missing_or_of_no_use_is_named() {
    let Some(controlled) = Controlled::empty().await else { return };
    let controller = controlled.controller("one", &[]).await;
    let mut object = controlled.object();
    object["spec"]["database"]["secretRef"] = json!({ "name": "elsewhere", "key": "url" });
    controlled.apply(&object).await;
    reported(&controlled, ORDERS, "SecretNotFound", &["spec.database.secretRef", "elsewhere", "create it"])
        .await;

    controlled.secret("elsewhere", "uri", &controlled.outbox.postgres.url).await;
    warned(&controlled, ORDERS, "SecretKeyNotFound", &["elsewhere", "no key \"url\"", "it has uri"]).await;

    controlled.secret("elsewhere", "url", "mysql://root:s3cret@db/shop").await;
    warned(&controlled, ORDERS, "InvalidAddress", &["\"url\"", "postgresql://"]).await;

    controlled.secret("elsewhere", "url", "postgresql://nobody:s3cret@127.0.0.1:1/shop").await;
    let words = ["127.0.0.1:1/shop", "spec.database.secretRef", "nothing listens there"];
    reported(&controlled, ORDERS, "DatabaseUnreachable", &words).await;

    controlled.secret("elsewhere", "url", &controlled.outbox.postgres.url).await;
    well_again(&controlled, ORDERS).await;
    assert!(publishes(&controller).await);
    controlled.until_event(ORDERS, "PublishingResumed").await;
    let error = &controlled.status(ORDERS).await["lastError"];
    assert!(error["message"].as_str().unwrap().contains("127.0.0.1:1/shop"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_without_an_outbox_is_named() {
    let Some(controlled) = Controlled::empty().await else { return };
    let _controller = controlled.controller("one", &[]).await;
    let mut object = controlled.object();
    object["spec"]["database"]["schema"] = json!("ordres");
    controlled.apply(&object).await;
    reported(&controlled, ORDERS, "OutboxNotFound", &["\"ordres\"", "spec.database.schema"]).await;
    controlled.apply(&controlled.object()).await;
    well_again(&controlled, ORDERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_or_silent_is_named() {
    let Some(controlled) = Controlled::empty().await else { return };
    let network = shop_testing::Proxy::to(&controlled.outbox.rabbitmq.url).await;
    controlled.secret("broker", "connection_string", "amqp://guest:guest@127.0.0.1:1/%2f").await;
    let _controller = controlled.controller("one", &[]).await;
    controlled.apply(&controlled.object()).await;
    reported(&controlled, ORDERS, "BrokerUnreachable", &["127.0.0.1:1", "spec.broker.secretRef"]).await;

    controlled.secret("broker", "connection_string", network.url()).await;
    well_again(&controlled, ORDERS).await;

    network.hold(Held::Everything);
    network.cut();
    controlled.outbox.append(5, 5).await;
    warned(&controlled, ORDERS, "BrokerUnreachable", &["no answer"]).await;
    network.hold(Held::Nothing);
    well_again(&controlled, ORDERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_published_before_the_required_queues_exist() {
    let Some(controlled) = Controlled::empty().await else { return };
    let controller = controlled.controller("one", &[]).await;
    let mut object = controlled.object();
    object["spec"]["requiredQueues"] = json!(["tap", "stock", "mail"]);
    controlled.apply(&object).await;
    controlled.outbox.append(5, 5).await;
    reported(&controlled, ORDERS, "QueuesMissing", &["spec.requiredQueues", "stock, mail;"]).await;
    let broker = Tap::connect(&controlled.outbox.rabbitmq.url).await;
    broker.declare("stock").await;
    warned(&controlled, ORDERS, "QueuesMissing", &[": mail;"]).await;
    assert_eq!(controlled.outbox.sent().await, 0);
    assert_eq!(controller.metric("outbox_queues_missing{outboxpublisher=\"orders\"}").await, 1.0);
    broker.declare("mail").await;
    well_again(&controlled, ORDERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_not_ready_before_its_broker_has_answered() {
    let Some(controlled) = Controlled::empty().await else { return };
    let network = shop_testing::Proxy::to(&controlled.outbox.rabbitmq.url).await;
    network.hold(Held::Everything);
    controlled.secret("broker", "connection_string", network.url()).await;
    let _controller = controlled.controller("one", &[]).await;
    controlled.apply(&controlled.object()).await;
    let ready = async || {
        let status = controlled.status(ORDERS).await;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned();
        ready.map(|ready| {
            (ready["status"].clone(), ready["reason"].clone(), status["observedGeneration"].clone())
        })
    };
    until("it is reported", async || {
        let ready = ready().await;
        assert!(ready.as_ref().is_none_or(|(status, ..)| status == "False"), "{ready:?}");
        ready.is_some_and(|(_, reason, _)| reason == "BrokerUnreachable")
    })
    .await;
    // The result of a changed spec does not depend on the previous one.
    network.hold(Held::Nothing);
    well_again(&controlled, ORDERS).await;
    controlled.secret("unreachable", "connection_string", "amqp://guest:guest@127.0.0.1:1/%2f").await;
    let mut elsewhere = controlled.object();
    elsewhere["spec"]["broker"]["secretRef"]["name"] = json!("unreachable");
    for generation in [2, 4, 6] {
        controlled.apply(&elsewhere).await;
        until("the change is observed", async || {
            let Some((status, reason, observed)) = ready().await else { return false };
            assert!(observed != generation || status == "False", "{status} {reason} of {observed}");
            observed == generation
        })
        .await;
        controlled.apply(&controlled.object()).await;
        until("the change back is observed", async || {
            ready().await.is_some_and(|(status, _, observed)| observed == generation + 1 && status == "True")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_objects_of_one_outbox_are_reported_and_lose_nothing() {
    let Some(controlled) = Controlled::take().await else { return };
    let mut controller = controlled.leader("one", &[]).await;
    let mut twin = controlled.object();
    twin["metadata"]["name"] = json!("twin");
    controlled.apply(&twin).await;
    let reported =
        async |name: &str| controlled.events(name).await.iter().any(|event| event == "AnotherPublisher");
    let began = Instant::now();
    while !(reported(ORDERS).await || reported("twin").await) {
        assert!(began.elapsed() < Duration::from_secs(40), "nothing is reported");
        controlled.outbox.append(3, 3).await;
    }
    controlled.cluster.kubectl(&["delete", "obp", "twin"]).await;
    controlled.outbox.until_sent(controlled.outbox.rows()).await;
    controlled.until_condition(ORDERS, "Ready", "True", "Publishing").await;
    assert_eq!(controller.terminate().await.code(), Some(0), "{}", controller.log());
    controlled.outbox.arrivals().await.assert_complete_and_ordered(controlled.outbox.rows());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_that_contradicts_itself_is_reported_and_disturbs_no_other() {
    let Some(controlled) = Controlled::take().await else { return };
    let mut controller = controlled.leader("one", &[]).await;
    let mut broken = controlled.object();
    broken["metadata"]["name"] = json!("broken");
    broken["spec"]["retry"] = json!({ "firstPause": "10m", "longestPause": "1m" });
    // A server that supports CEL refuses it, as it should; an older one leaves it to the controller.
    let applied = controlled.try_apply(&broken).await;
    match applied {
        Err(refusal) => {
            assert!(refusal.to_string().contains("firstPause is at most longestPause"), "{refusal:#}");
        }
        Ok(()) => warned(&controlled, "broken", "InvalidSpec", &["firstPause is at most longestPause"]).await,
    }
    well_again(&controlled, ORDERS).await;
    let (secret, bytes) = (json!({ "name": "broker" }), "я".repeat(200));
    for (field, value, words) in [
        (
            "pollInterval",
            json!("99999999h"),
            "spec.pollInterval: Invalid value: \"string\": a duration from 5ms to 1m",
        ),
        ("pollInterval", json!("1d"), "a duration from 5ms to 1m, written with h, m, s and ms"),
        ("pollInterval", json!("100"), "a duration from 5ms to 1m, written with h, m, s and ms"),
        ("publishDeadline", json!("1.5h"), "a duration from 1s to 1m"),
        ("retention", json!("999999999h999999999h"), "a duration from 0s to 87600h"),
        ("retention", json!("-1h"), "a duration from 0s to 87600h"),
        ("retry", json!({ "firstPause": "99999999h" }), "a duration from 10ms to 24h"),
        (
            "broker",
            json!({ "secretRef": secret, "exchange": "amq.topic" }),
            "begin with amq. are the broker's own",
        ),
        (
            "broker",
            json!({ "secretRef": secret, "eventLog": "amq.log" }),
            "begin with amq. are the broker's own",
        ),
        ("broker", json!({ "secretRef": secret, "eventLog": bytes }), "at most 255 bytes"),
        ("appId", json!(bytes), "at most 255 bytes"),
        ("requiredQueues", json!([bytes]), "at most 255 bytes"),
    ] {
        let mut odd = controlled.object();
        odd["metadata"]["name"] = json!("odd");
        odd["spec"][field] = value;
        match controlled.try_apply(&odd).await {
            Err(refusal) => {
                let refusal = refusal.to_string();
                println!("{refusal}");
                // A server without CEL checks only the pattern.
                let reported = words.split(": ").last().unwrap();
                assert!(refusal.contains(reported) || refusal.contains("should match"), "{refusal}");
                assert!(
                    !refusal.contains("type conversion") && !refusal.contains("no such overload"),
                    "{refusal}"
                );
            }
            Ok(()) => {
                warned(&controlled, "odd", "InvalidSpec", &[words.split(": ").last().unwrap()]).await;
                controlled.cluster.kubectl(&["delete", "obp", "odd"]).await;
            }
        }
    }
    let mut sound = controlled.object();
    sound["metadata"]["name"] = json!("sound");
    sound["spec"]["paused"] = json!(true);
    sound["spec"]["retention"] = json!("1.5h");
    controlled.try_apply(&sound).await.unwrap();
    for (field, value, word) in [
        ("batchSize", json!(1), "batchSize"),
        ("pollInterval", json!("soon"), "pollInterval"),
        ("pollInterval", json!(100), "pollInterval"),
        ("retention", json!("-1h"), "retention"),
        ("retention", json!("99999999999999999999h"), "retention"),
        ("database", json!({ "secretRef": { "name": "database,key=uri" } }), "secretRef.name"),
        ("appId", json!(""), "appId"),
        ("requiredQueues", json!(["stock", "stock"]), "requiredQueues"),
        ("database", json!({}), "secretRef"),
    ] {
        let mut refused = controlled.object();
        refused["metadata"]["name"] = json!("refused");
        refused["spec"][field] = value;
        let refusal = controlled.try_apply(&refused).await.unwrap_err().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
    assert_eq!(controller.terminate().await.code(), Some(0), "{}", controller.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_password_is_taken_up_without_a_restart() {
    let Some(controlled) = Controlled::empty().await else { return };
    let database = &controlled.outbox.postgres.url;
    let owner = "rotated_".to_owned() + &database[database.rfind('_').unwrap() + 1..];
    let as_owner = |password: &str| {
        let (host, name) =
            database.split_once("://").unwrap().1.split_once('@').unwrap().1.split_once('/').unwrap();
        format!("postgresql://{owner}:{password}@{host}/{name}")
    };
    let execute = async |sql: &str| controlled.outbox.execute(sql).await;
    execute(&format!("CREATE ROLE {owner} LOGIN PASSWORD 'one'")).await;
    execute(&format!("GRANT USAGE ON SCHEMA orders TO {owner}")).await;
    execute(&format!("GRANT ALL ON ALL TABLES IN SCHEMA orders TO {owner}")).await;
    execute(&format!("GRANT ALL ON ALL SEQUENCES IN SCHEMA orders TO {owner}")).await;
    controlled.secret("database", "uri", &as_owner("one")).await;
    controlled.apply(&controlled.object()).await;
    let controller = controlled.leader("one", &[]).await;

    let epoch = async || controller.metric("outbox_epoch{outboxpublisher=\"orders\"}").await;
    let before = epoch().await;
    execute(&format!("ALTER ROLE {owner} PASSWORD 'two'")).await;
    controlled.secret("database", "uri", &as_owner("two")).await;
    until("the publisher has begun anew", async || epoch().await > before).await;
    well_again(&controlled, ORDERS).await;
    let rows = controlled.outbox.rows();
    let arrivals = controlled.outbox.finish(controller).await;
    arrivals.assert_complete_and_ordered(rows);
    assert_eq!(arrivals.duplicates(), 0, "what was in flight was finished and marked");
    execute(&format!("DROP OWNED BY {owner}")).await;
    execute(&format!("DROP ROLE {owner}")).await;
}

/// The chart's Role, and its binding to the ServiceAccount; `None` without Helm.
async fn role(controlled: &Controlled) -> Option<String> {
    let chart = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/shop");
    let namespace = format!("--namespace={}", controlled.cluster.namespace);
    let chart = chart.to_string_lossy();
    let rendered = shop_testing::helm(&[
        "template",
        "shop",
        &chart,
        &namespace,
        "--show-only=templates/controller/rbac.yaml",
        "--set=outboxPublishers.orders.database.secret.name=database",
        "--set=outboxPublishers.orders.broker.secret.name=broker",
    ])
    .await?;
    Some(rendered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_role_is_enough_and_no_more() {
    let Some(controlled) = Controlled::take().await else { return };
    let Some(role) = role(&controlled).await else { return };
    controlled.cluster.apply(&role).await;
    let account = format!("system:serviceaccount:{}:shop-outbox-controller", controlled.cluster.namespace);
    let kubeconfig = controlled.cluster.kubeconfig_as(&account).to_string_lossy().into_owned();
    let restricted = [("KUBECONFIG", kubeconfig.as_str())];
    let first = controlled.leader("first", &restricted).await;
    let second = controlled.controller("second", &restricted).await;
    controlled.until_condition(ORDERS, "Ready", "True", "Publishing").await;
    controlled.until_event(ORDERS, "LeaderElected").await;
    works_in_full(&controlled, first, &second).await;

    // A Secret that no OutboxPublisher names cannot be read, here or elsewhere.
    let asked = ["auth", "can-i", "--as", account.as_str()];
    let may = async |question: &[&str]| {
        let answer = controlled.cluster.try_kubectl(&[&asked, question].concat()).await;
        answer.is_ok_and(|answer| answer.trim() == "yes")
    };
    assert!(may(&["get", "secrets/database"]).await);
    assert!(!may(&["get", "secrets/another"]).await);
    assert!(!may(&["list", "secrets"]).await);
    assert!(!may(&["get", "secrets/database", "--namespace=default"]).await);
    assert!(!may(&["list", "outboxpublishers", "--all-namespaces"]).await);
    for verb in ["create", "update", "patch", "delete"] {
        assert!(!may(&[verb, "outboxpublishers"]).await, "{verb}");
        assert!(!may(&[verb, "secrets/database"]).await, "{verb}");
    }
    assert!(!may(&["delete", "leases"]).await);

    // And an object that names such a Secret reports that.
    let mut object = controlled.object();
    object["metadata"]["name"] = json!("curious");
    object["spec"]["database"]["secretRef"]["name"] = json!("another");
    controlled.secret("another", "uri", "postgresql://db/shop").await;
    controlled.apply(&object).await;
    reported(&controlled, "curious", "SecretForbidden", &["another", "Role"]).await;
}

/// Hand-over, redrive and rotation need no more rights than publishing.
async fn works_in_full(controlled: &Controlled, mut first: Process, second: &Process) {
    assert_eq!(first.terminate().await.code(), Some(0), "{}", first.log());
    until("the other publishes", async || publishes(second).await).await;
    controlled.outbox.append(5, 5).await;
    controlled.outbox.until_sent(6).await;
    controlled.cluster.kubectl(&["annotate", "obp", ORDERS, "outbox.shop.dev/redrive=now"]).await;
    until("the redrive is acknowledged", async || controlled.status(ORDERS).await["redrive"] != Value::Null)
        .await;
    for process in [&first, second] {
        let log = process.log();
        assert!(!log.contains("forbidden"), "{log}");
    }
}
