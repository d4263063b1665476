//! A collector that keeps the spans it gets: OTLP over HTTP, protobuf.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{self, span::SpanKind},
};
use prost::Message as _;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// A span as it arrived. Ids are lower-case hex, as in `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// `service.name`
    pub service: String,
    /// The span's name: `POST /orders`.
    pub name: String,
    /// 32 digits.
    pub trace_id: String,
    /// 16 digits.
    pub span_id: String,
    /// 16 digits; `None` for a root.
    pub parent_span_id: Option<String>,
    /// Its role in the trace.
    pub kind: SpanKind,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The spans that it is linked to.
    pub links: Vec<Link>,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended: u64,
}

/// A span that another is linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// 32 digits.
    pub trace_id: String,
    /// 16 digits.
    pub span_id: String,
}

/// The collector. It stops when this is dropped.
#[derive(Debug)]
pub struct Collector {
    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    received: Arc<Received>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    changed: Notify,
}

impl Collector {
    /// Listens on a free loopback port.
    ///
    /// # Panics
    /// No port is free.
    #[expect(clippy::disallowed_methods, reason = "the task's owner is the collector, whose Drop ends it")]
    pub async fn start() -> Self {
        let received = Arc::new(Received::default());
        let router = Router::new().route("/v1/traces", post(receive)).with_state(received.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let server = tokio::spawn(async move {
            // It ends only when it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Self { endpoint: format!("http://{address}"), received, server }
    }

    /// Returns all spans so far, in order of arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `enough` accepts the spans so far, and returns them.
    ///
    /// # Panics
    /// After `patience`; the message lists the spans that did arrive.
    pub async fn wait_for(&self, patience: Duration, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let waiting = async {
            loop {
                let changed = self.received.changed.notified();
                let spans = self.spans();
                if enough(&spans) {
                    return spans;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(spans) => spans,
            Err(_) => panic!("the spans did not arrive; these did: {:#?}", self.spans()),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(received): State<Arc<Received>>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    received.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(spans_of(request));
    received.changed.notify_waiters();
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

fn spans_of(request: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    request.resource_spans.into_iter().flat_map(|resource_spans| {
        let resource = attributes(resource_spans.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| read(&service, span))
    })
}

fn read(service: &str, span: v1::Span) -> Span {
    Span {
        service: service.to_owned(),
        kind: span.kind(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        name: span.name,
        attributes: attributes(span.attributes),
        links: span.links.iter().map(link).collect(),
        began: span.start_time_unix_nano,
        ended: span.end_time_unix_nano,
    }
}

fn link(link: &v1::span::Link) -> Link {
    Link { trace_id: hex(&link.trace_id), span_id: hex(&link.span_id) }
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        None => String::new(),
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        Some(other) => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        resource::v1::Resource,
        trace::v1::{ResourceSpans, ScopeSpans},
    };

    use super::*;

    #[tokio::test]
    async fn a_span_is_kept_with_its_service_and_parent() {
        let collector = Collector::start().await;
        let attribute = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }),
            ..KeyValue::default()
        };
        let span = v1::Span {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            parent_span_id: vec![2; 8],
            name: "POST /orders".to_owned(),
            kind: SpanKind::Server.into(),
            attributes: vec![attribute("http.route", "/orders")],
            links: vec![v1::span::Link {
                trace_id: vec![0xcd; 16],
                span_id: vec![3; 8],
                ..v1::span::Link::default()
            }],
            start_time_unix_nano: 1_000,
            end_time_unix_nano: 2_000,
            ..v1::Span::default()
        };
        let resource =
            Resource { attributes: vec![attribute("service.name", "order_service")], ..Resource::default() };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
                ..ResourceSpans::default()
            }],
        };
        let url = format!("{}/v1/traces", collector.endpoint);
        let sent = reqwest::Client::new().post(url).body(request.encode_to_vec()).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        let spans = collector.wait_for(Duration::from_secs(5), |spans| !spans.is_empty()).await;
        assert_eq!(
            spans,
            [Span {
                service: "order_service".to_owned(),
                name: "POST /orders".to_owned(),
                trace_id: "ab".repeat(16),
                span_id: "01".repeat(8),
                parent_span_id: Some("02".repeat(8)),
                kind: SpanKind::Server,
                attributes: BTreeMap::from([("http.route".to_owned(), "/orders".to_owned())]),
                links: vec![Link { trace_id: "cd".repeat(16), span_id: "03".repeat(8) }],
                began: 1_000,
                ended: 2_000,
            }]
        );
    }
}
