//! The controllers' environment: an API server, a database with the shop's schema, a broker with one queue, and the object.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use shop_testing::{Private, TestBroker, TestCluster, TestDatabase};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    outbox::{
        broker::{Arrivals, Broker},
        place::migrate,
    },
    process::{Process, free_address},
};

/// The object's name.
pub(crate) const OBJECT: &str = "orders";
/// A controller's status for the object.
const LEADS: &str = "outbox_is_leader{outboxpublisher=\"orders\"}";
const EXCHANGE: &str = "shop_events";

/// The timing of Leases, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) lease: u16,
    pub(crate) renew_deadline: u16,
    pub(crate) retry_period: u16,
}

pub(crate) struct Place {
    pub(crate) api: Private,
    pub(crate) cluster: TestCluster,
    pub(crate) database: TestDatabase,
    pub(crate) rabbitmq: TestBroker,
    pub(crate) pool: PgPool,
    pub(crate) arrivals: Arrivals,
    _broker: Broker,
    binaries: PathBuf,
    folder: PathBuf,
    timing: Timing,
}

impl Timing {
    pub(crate) fn lease(self) -> Duration {
        Duration::from_secs(self.lease.into())
    }
}

impl Place {
    /// Creates empty backends. There is no object yet.
    pub(crate) async fn open(binaries: &Path, folder: &Path, timing: Timing) -> anyhow::Result<Self> {
        let missing = "run it with `cargo xtask`";
        let database = shop_testing::postgres().await.context(missing)?;
        let rabbitmq = shop_testing::rabbitmq().await.context(missing)?;
        let (api, cluster) = shop_testing::private_kubernetes().await.context(
            "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl (setup-envtest makes one)",
        )?;
        let definition = "../../k8s/crds/outboxpublishers.outbox.shop.dev.yaml";
        cluster.install_crds(&Path::new(env!("CARGO_MANIFEST_DIR")).join(definition)).await;
        migrate(binaries, &database.url, &rabbitmq.url).await?;
        let in_schema = format!("{}?options=-c%20search_path%3Dorders", database.url);
        let pool =
            PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(&in_schema).await?;
        let broker = Broker::open(&rabbitmq.url, EXCHANGE).await?;
        let arrivals = broker.arrivals().await?;
        let (binaries, folder) = (binaries.to_owned(), folder.to_owned());
        Ok(Self {
            api,
            cluster,
            database,
            rabbitmq,
            pool,
            arrivals,
            _broker: broker,
            binaries,
            folder,
            timing,
        })
    }

    /// Creates the object, with all defaults, and the Secrets that it refers to.
    pub(crate) async fn describe(&self, database_url: &str, broker_url: &str) {
        let manifests = format!(
            r#"apiVersion: v1
kind: Secret
metadata: {{name: database}}
stringData: {{uri: "{database_url}"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: broker}}
stringData: {{connection_string: "{broker_url}"}}
---
apiVersion: outbox.shop.dev/v1alpha1
kind: OutboxPublisher
metadata: {{name: {OBJECT}}}
spec:
  database: {{secretRef: {{name: database}}}}
  broker: {{secretRef: {{name: broker}}, exchange: {EXCHANGE}}}
"#
        );
        self.cluster.apply(&manifests).await;
    }

    /// Starts a controller that uses the API of `kubeconfig`, and waits until it is ready.
    pub(crate) async fn controller(&self, name: &'static str, kubeconfig: &Path) -> anyhow::Result<Process> {
        let address = free_address()?;
        let (listen, kubeconfig) = (address.to_string(), kubeconfig.to_string_lossy());
        let Timing { lease, renew_deadline, retry_period } = self.timing;
        let [lease, renew_deadline, retry_period] =
            [lease, renew_deadline, retry_period].map(|seconds| seconds.to_string());
        let environment = [
            ("KUBECONFIG", kubeconfig.as_ref()),
            ("OUTBOX_LISTEN", listen.as_str()),
            ("OUTBOX_IDENTITY", name),
            ("OUTBOX_LEASE_SECONDS", &lease),
            ("OUTBOX_RENEW_DEADLINE_SECONDS", &renew_deadline),
            ("OUTBOX_RETRY_PERIOD_SECONDS", &retry_period),
            ("LOG_FORMAT", "json"),
            ("RUST_LOG", "info"),
        ];
        let binary = self.binaries.join("outbox-controller");
        let at = (address, "/readyz");
        Process::start(name, &binary, &["kubernetes"], &environment, at, &self.folder).await
    }

    /// The holder of the object's Lease; empty if there is none.
    pub(crate) async fn holder(&self) -> String {
        let lease = format!("outboxpublisher-{OBJECT}");
        self.cluster.kubectl(&["get", "lease", &lease, "--output=jsonpath={.spec.holderIdentity}"]).await
    }

    /// How long the oldest row has been waiting.
    pub(crate) async fn lag(&self) -> anyhow::Result<Duration> {
        let oldest = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
                      FROM outbox_messages WHERE status = 'pending'";
        let seconds: f64 = sqlx::query_scalar(oldest).fetch_one(&self.pool).await?;
        Ok(Duration::from_secs_f64(seconds.max(0.0)))
    }
}

/// Whether a controller reports that it publishes. One that does not answer counts as not publishing.
pub(crate) async fn leads(controller: &Process) -> bool {
    let answer = tokio::time::timeout(Duration::from_millis(500), controller.metric(LEADS)).await;
    matches!(answer, Ok(Ok(Some(leads))) if leads > 0.0)
}
