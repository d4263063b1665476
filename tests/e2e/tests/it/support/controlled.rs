use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use shop_testing::TestCluster;

use super::{
    Outbox,
    outbox::{BATCH_SIZE, until},
    process::{Process, free_address},
};

/// An outbox described by a Kubernetes object, and controllers as processes.
pub(crate) struct Controlled {
    pub(crate) outbox: Outbox,
    pub(crate) cluster: TestCluster,
}

/// How long a Lease lasts in these tests.
pub(crate) const LEASE: Duration = Duration::from_secs(4);

/// The object's name, if a test needs no other.
pub(crate) const ORDERS: &str = "orders";

impl Controlled {
    /// A namespace with the OutboxPublisher definition and Secrets for the outbox's database and broker, but no object yet.
    pub(crate) async fn empty() -> Option<Self> {
        let cluster = shop_testing::kubernetes().await?;
        Some(Self::on(cluster, Outbox::take().await?).await)
    }

    /// The same, with an object and its outbox.
    pub(crate) async fn take() -> Option<Self> {
        let controlled = Self::empty().await?;
        controlled.apply(&controlled.object()).await;
        Some(controlled)
    }

    pub(crate) async fn on(cluster: TestCluster, outbox: Outbox) -> Self {
        let crds = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../k8s/crds/outboxpublishers.outbox.shop.dev.yaml");
        cluster.install_crds(&crds).await;
        let controlled = Self { outbox, cluster };
        controlled.secret("database", "uri", &controlled.outbox.postgres.url).await;
        controlled.secret("broker", "connection_string", &controlled.outbox.rabbitmq.url).await;
        controlled
    }

    /// Creates or changes a Secret with one key.
    pub(crate) async fn secret(&self, name: &str, key: &str, value: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { key: value },
        });
        self.apply(&secret).await;
    }

    pub(crate) async fn apply(&self, manifest: &Value) {
        self.cluster.apply(&manifest.to_string()).await;
    }

    /// The same, returning the refusal, if any.
    pub(crate) async fn try_apply(&self, manifest: &Value) -> anyhow::Result<()> {
        self.cluster.try_apply(&manifest.to_string()).await
    }

    /// The object, which a test may change before it applies it.
    pub(crate) fn object(&self) -> Value {
        json!({
            "apiVersion": "outbox.shop.dev/v1alpha1",
            "kind": "OutboxPublisher",
            "metadata": { "name": ORDERS },
            "spec": {
                "database": { "secretRef": { "name": "database" } },
                "broker": { "secretRef": { "name": "broker" } },
                "batchSize": BATCH_SIZE,
            },
        })
    }

    /// Starts a controller and waits until it knows the objects; `environment` comes last, and so takes precedence.
    pub(crate) async fn controller(&self, name: &str, environment: &[(&str, &str)]) -> Process {
        self.start(name, environment).ready().await
    }

    /// Starts a controller without waiting.
    pub(crate) fn start(&self, name: &str, environment: &[(&str, &str)]) -> Process {
        let address = free_address();
        let (listen, lease) = (address.to_string(), LEASE.as_secs().to_string());
        let kubeconfig = self.cluster.kubeconfig.to_string_lossy().into_owned();
        let mut all = vec![
            ("KUBECONFIG", kubeconfig.as_str()),
            ("OUTBOX_LISTEN", &listen),
            ("OUTBOX_IDENTITY", name),
            ("OUTBOX_LEASE_SECONDS", &lease),
            ("OUTBOX_RENEW_DEADLINE_SECONDS", "3"),
            ("OUTBOX_RETRY_PERIOD_SECONDS", "1"),
        ];
        all.extend(environment);
        Process::start_with("outbox-controller", &["kubernetes"], self.outbox.folder.path(), address, &all)
    }

    /// Starts a controller and waits until it leads and has published a row.
    pub(crate) async fn leader(&self, name: &str, environment: &[(&str, &str)]) -> Process {
        let controller = self.controller(name, environment).await;
        self.outbox.append(1, 1).await;
        self.outbox.until_sent(self.outbox.rows()).await;
        assert!(publishes(&controller).await, "who else");
        controller
    }

    /// Reads a field of an object from the API server.
    pub(crate) async fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.cluster.kubectl(&["get", kind, name, "--output=json"]).await).unwrap()
    }

    pub(crate) async fn status(&self, name: &str) -> Value {
        self.get("outboxpublisher", name).await["status"].take()
    }

    /// The holder of the object's Lease; empty if there is none.
    pub(crate) async fn holder(&self, name: &str) -> String {
        let lease = self.get("lease", &format!("outboxpublisher-{name}")).await;
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the object's condition has this status and reason; returns its message, and how long it took.
    pub(crate) async fn until_condition(
        &self,
        name: &str,
        condition: &str,
        status: &str,
        reason: &str,
    ) -> (String, Duration) {
        let began = Instant::now();
        loop {
            let now = self.status(name).await;
            let conditions = now["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.iter().find(|found| found["type"] == condition);
            if let Some(found) = found.filter(|found| found["status"] == status && found["reason"] == reason)
            {
                return (found["message"].as_str().unwrap().to_owned(), began.elapsed());
            }
            assert!(began.elapsed() < Duration::from_secs(40), "no {condition}={status} ({reason}): {now:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The reasons of all Events about the object, oldest first, each as often as it was reported.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let field = format!("--field-selector=involvedObject.name={name}");
        let events = self.cluster.kubectl(&["get", "events", &field, "--output=json"]).await;
        let events: Value = serde_json::from_str(&events).unwrap();
        let mut events = events["items"].as_array().unwrap().clone();
        events.sort_by_key(|event| event["eventTime"].as_str().unwrap_or_default().to_owned());
        events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for an Event with this reason about the object.
    pub(crate) async fn until_event(&self, name: &str, reason: &str) {
        until(reason, async || self.events(name).await.iter().any(|event| event == reason)).await;
    }

    /// The longest time between two rows being marked as sent, in seconds by the database's clock.
    pub(crate) async fn longest_gap(&self) -> Duration {
        let gap = "SELECT coalesce((1000 * extract(epoch FROM max(gap)))::bigint, 0) FROM (
                       SELECT sent_at - lag(sent_at) OVER (ORDER BY sent_at) AS gap FROM outbox_messages) AS gaps";
        Duration::from_millis(self.outbox.number(gap).await as u64)
    }
}

/// Whether the controller reports that it publishes the only object.
pub(crate) async fn publishes(controller: &Process) -> bool {
    controller.metric("outbox_is_leader{outboxpublisher=\"orders\"}").await > 0.0
}
