//! Prometheus metrics of one service, in a registry that is passed in: nothing is global, so that `shop` can host many services.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// A registry, and the HTTP server's own metrics in it. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<RwLock<Registry>>,
    pub(crate) requests: Family<RequestLabels, Histogram>,
    pub(crate) in_flight: Gauge,
    pub(crate) panics: Counter,
    pub(crate) problems: Family<ProblemLabels, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) closed: Family<ClosedLabels, Counter>,
}

/// A type of problem, as in docs/problems.md.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ProblemLabels {
    pub(crate) r#type: &'static str,
}

/// Why the server closed a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ClosedLabels {
    pub(crate) reason: &'static str,
}

/// The labels of OpenTelemetry's `http.server.request.duration`, as Prometheus spells them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) http_request_method: &'static str,
    pub(crate) http_route: String,
    pub(crate) http_response_status_code: u16,
}

/// The buckets of OpenTelemetry's HTTP semantic conventions, in seconds.
const REQUEST_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

impl Default for Metrics {
    fn default() -> Self {
        let requests =
            Family::new_with_constructor((|| Histogram::new(REQUEST_BUCKETS)) as fn() -> Histogram);
        let metrics = Self {
            registry: Arc::default(),
            requests,
            in_flight: Gauge::default(),
            panics: Counter::default(),
            problems: Family::default(),
            connections: Gauge::default(),
            closed: Family::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "http_server_request_duration_seconds",
                "Time from the request's head to the response's head",
                metrics.requests.clone(),
            );
            registry.register(
                "http_server_active_requests",
                "Requests in progress",
                metrics.in_flight.clone(),
            );
            registry.register(
                "http_server_panics",
                "Requests whose handler panicked",
                metrics.panics.clone(),
            );
            registry.register(
                "http_server_problems",
                "Requests that were refused or failed, by problem type",
                metrics.problems.clone(),
            );
            registry.register(
                "http_server_open_connections",
                "Open connections",
                metrics.connections.clone(),
            );
            registry.register(
                "http_server_closed_connections",
                "Connections that the server closed before their client: silent, slow_head, idle, slow_reader, evicted, refused",
                metrics.closed.clone(),
            );
        });
        metrics
    }
}

impl Metrics {
    /// Adds metrics to the registry.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    pub(crate) fn observe(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels {
            http_request_method: method,
            http_route: route.to_owned(),
            http_response_status_code: status,
        };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }
}
