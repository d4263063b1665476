//! The HTTP client of the services: bounded in time, and it carries the trace on.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{global, propagation::Injector};
use tracing::{Instrument as _, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::http::origin;

/// A client for calls between services: 2 seconds to connect, 5 in all, no redirects.
///
/// # Errors
/// The system's TLS roots cannot be read.
pub fn client() -> anyhow::Result<reqwest::Client> {
    crate::install_crypto();
    Ok(reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(5))
        // Shorter than the servers' patience with an idle connection, so that no request meets one that is closing.
        .pool_idle_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("shop/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Sends `request` in a span of its own, and gives the callee its `traceparent`.
///
/// `name` is the span's: `GET /orders/{id}`, with no id in it.
///
/// # Errors
/// The callee cannot be reached, or does not answer in time.
pub async fn send(
    name: &'static str,
    request: reqwest::RequestBuilder,
) -> reqwest::Result<reqwest::Response> {
    let span = tracing::info_span!(
        "call",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    let mut headers = HeaderMap::new();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut Headers(&mut headers));
    });
    origin::vouch(&mut headers);
    let outcome = request.headers(headers).send().instrument(span.clone()).await;
    match &outcome {
        Ok(response) => {
            span.record("http.response.status_code", response.status().as_u16());
            if response.status().is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
        }
        Err(_) => {
            span.record("otel.status_code", "ERROR");
        }
    }
    outcome
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
