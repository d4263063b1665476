//! The controller: publishes what the `OutboxPublisher` objects of a namespace describe. Many replicas run; for each object the one
//! that holds its Lease publishes, and the others stand by.
//!
//! [`supervisor`] keeps a [`worker`] for each object, and the worker's file reads as the stages of a round: look up what the object
//! refers to ([`secrets`]), [`validate`] both, build a [`plan`], carry it out ([`publishing`]), and publish the state
//! as a [`snapshot`], which [`report`] writes to the API server.

mod context;
mod object;
mod plan;
mod problem;
mod publishing;
mod report;
mod secrets;
mod snapshot;
mod supervisor;
mod validate;
mod worker;

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use axum::Router;
use clap::Args;
use kube::Client;
use shop_outbox::{Bounds, OutboxMetricsFamily};
use shop_runtime::{Scope, Service, health::Health, http};

use crate::{
    config::{LEASE_SECONDS, seconds, within},
    election::{RENEW_DEADLINE, RETRY_PERIOD, Settings},
};

const RENEW_DEADLINE_SECONDS: Bounds<u64> = seconds(RENEW_DEADLINE);
const RETRY_PERIOD_SECONDS: Bounds<u64> = seconds(RETRY_PERIOD);

/// How long the API server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may be silent on a connection: longer than a watch stays open.
const SILENCE: Duration = Duration::from_secs(75);

/// The controller's environment variables. How to reach the API server is found as kubectl does: `KUBECONFIG`, else the Pod's
/// service account.
#[derive(Args, Clone, Debug)]
pub struct KubernetesConfig {
    /// Where to serve /health, /livez, /readyz and /metrics
    #[arg(long, env = "OUTBOX_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// The namespace whose OutboxPublisher objects to publish; by default the Pod's own
    #[arg(long, env = "OUTBOX_NAMESPACE")]
    pub namespace: Option<String>,
    /// Who this replica is, such as the Pod's name; a random suffix is added
    #[arg(long, env = "OUTBOX_IDENTITY", default_value = "outbox-controller", value_parser = identity)]
    pub identity: String,
    /// How long a Lease lasts without renewal, in seconds: the longest gap after a crash
    #[arg(
        long,
        env = "OUTBOX_LEASE_SECONDS",
        default_value_t = LEASE_SECONDS.default,
        value_parser = within::<u64>(LEASE_SECONDS)
    )]
    pub lease_seconds: u64,
    /// How long a leader that cannot renew its Lease keeps publishing, in seconds; must be shorter than the Lease
    #[arg(
        long,
        env = "OUTBOX_RENEW_DEADLINE_SECONDS",
        default_value_t = RENEW_DEADLINE_SECONDS.default,
        value_parser = within::<u64>(RENEW_DEADLINE_SECONDS)
    )]
    pub renew_deadline_seconds: u64,
    /// How often a leader renews its Lease, in seconds
    #[arg(
        long,
        env = "OUTBOX_RETRY_PERIOD_SECONDS",
        default_value_t = RETRY_PERIOD_SECONDS.default,
        value_parser = within::<u64>(RETRY_PERIOD_SECONDS)
    )]
    pub retry_period_seconds: u64,
}

/// The name is written into Leases, the database, the names of connections, and Events, which take 128 characters.
fn identity(text: &str) -> Result<String, &'static str> {
    match text.len() {
        1..=100 => Ok(text.to_owned()),
        _ => Err("it has 1 to 100 characters"),
    }
}

/// The controller as a service.
pub struct KubernetesController;

impl Service for KubernetesController {
    const NAME: &'static str = "outbox_publisher";
    const ABOUT: &'static str =
        "Publishes the outboxes that the OutboxPublisher objects of a namespace describe";
    type Config = KubernetesConfig;

    async fn start(config: KubernetesConfig, scope: Scope) -> anyhow::Result<SocketAddr> {
        let elections = Settings::new(
            Duration::from_secs(config.lease_seconds),
            Duration::from_secs(config.renew_deadline_seconds),
            Duration::from_secs(config.retry_period_seconds),
        )
        .context("OUTBOX_LEASE_SECONDS, OUTBOX_RENEW_DEADLINE_SECONDS and OUTBOX_RETRY_PERIOD_SECONDS")?;
        let mut access = kube::Config::infer().await.context("no way to a Kubernetes API is configured")?;
        // HTTPS_PROXY would be used, which is meant for addresses outside the cluster.
        access.proxy_url = None;
        access.connect_timeout = Some(CONNECT);
        access.read_timeout = Some(SILENCE);
        // Connections are reused after long idle times.
        access.reset_reader_on_write = true;
        // Every caller retries with its own back-off.
        access.default_retry = false;
        let namespace = config.namespace.unwrap_or_else(|| access.default_namespace.clone());
        let client = Client::try_from(access).context("the Kubernetes API")?;
        let suffix: u32 = rand::random();
        let identity = format!("{}_{suffix:08x}", config.identity);
        tracing::info!(identity, namespace, "controlling");
        let metrics = OutboxMetricsFamily::default();
        scope.metrics.register(|registry| metrics.register(registry));
        let context =
            context::Context { client, namespace, identity, elections, metrics, clock: scope.clock.clone() };
        let (supervisor, state) = supervisor::Supervisor::new(context);
        let stopping = scope.lifecycle.stopping();
        scope.lifecycle.spawn("supervisor", async move {
            supervisor.run(stopping).await;
            Ok(())
        });
        depends_on(&scope.health, state);
        let router = http::router(Router::new(), &scope, http::Limits::default());
        http::bind_and_serve(config.listen, router, &scope).await
    }

    fn listen(config: &KubernetesConfig) -> SocketAddr {
        config.listen
    }
}

/// Ready means that it knows the objects, and so can take over. If the API server is away later, the controller waits for it.
fn depends_on(health: &Health, state: tokio::sync::watch::Receiver<supervisor::State>) {
    let (listed, watched) = (state.clone(), state);
    health.requires("objects", move || {
        let known = listed.borrow().known;
        async move {
            anyhow::ensure!(known, "the objects have not been listed yet");
            Ok(())
        }
    });
    health.uses("kubernetes", move || {
        let trouble = watched.borrow().trouble();
        async move { trouble.map_or(Ok(()), |trouble| Err(anyhow::anyhow!(trouble))) }
    });
}
