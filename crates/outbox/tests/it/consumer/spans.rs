//! The trace of a message goes on where it is handled.

use std::{
    future::ready,
    sync::{Arc, Mutex},
};

use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use shop_messaging::Failure;
use shop_outbox::consumer::{Options, Trace};
use tracing_subscriber::layer::SubscriberExt as _;

use super::kit::{Keep, Replica, event, prepare, send, subscription};
use crate::support::Fixture;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISH: &str = "b7ad6b7169203331";

#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.0.lock().unwrap().extend(batch);
        ready(Ok(()))
    }
}

impl Spans {
    fn named(&self, name: &str) -> Vec<SpanData> {
        self.0.lock().unwrap().iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// The spans of one message that fails once, and then is kept and announced. SQLite's driver keeps spans in threads of its own, so
/// there are none without servers.
async fn spans(trace: Trace) -> Option<Spans> {
    let fixture = Fixture::real().await?;
    prepare(&fixture, &subscription()).await;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let _installed = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let fails_once = |event: shop_outbox::consumer::Received<super::kit::Changed>| {
        ready(if event.attempt == 1 { Err(Failure::retry("not yet")) } else { Ok(()) })
    };
    let options = Options { trace, ..Options::default() };
    let handler = Keep::after(fails_once).announcing();
    let replica = Replica::with(&fixture, subscription(), options, handler).await;
    let mut event = event("a", 1);
    event.headers.insert("traceparent".to_owned(), format!("00-{TRACE}-{PUBLISH}-01").into());
    send(&fixture, &[event]).await;
    replica.until_metric("handled_total", 1).await;
    replica.stop().await;
    let all: Vec<_> = spans.0.lock().unwrap().iter().map(|span| span.name.clone()).collect();
    assert_eq!(spans.named("process thing.changed").len(), 2, "{all:?}");
    Some(spans)
}

#[tokio::test]
async fn a_handling_is_a_child_of_the_span_that_published_the_message() {
    let Some(spans) = spans(Trace::Child).await else { return };
    let handlings = spans.named("process thing.changed");
    let attribute = |span: &SpanData, name: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.unwrap_or_else(|| panic!("no {name}")).value.to_string()
    };
    for span in &handlings {
        assert_eq!(span.span_context.trace_id().to_string(), TRACE);
        assert_eq!(span.parent_span_id.to_string(), PUBLISH);
        assert_eq!(span.span_kind, SpanKind::Consumer);
        assert_eq!(attribute(span, "messaging.operation.type"), "process");
        assert_eq!(attribute(span, "messaging.destination.name"), "events");
        assert_eq!(attribute(span, "messaging.consumer.group.name"), "keeper");
        assert_eq!(attribute(span, "outbox.aggregate_id"), "a");
    }
    assert!(matches!(&handlings[0].status, Status::Error { description } if description.contains("not yet")));
    assert_eq!(handlings[1].status, Status::Unset);
    let appended = &spans.named("append thing.kept")[0];
    assert_eq!(appended.parent_span_id, handlings[1].span_context.span_id(), "the trace goes on from there");
    assert_eq!(attribute(appended, "outbox.aggregate_id"), "a", "and is found by its aggregate");
}

#[tokio::test]
async fn a_handling_may_be_a_trace_of_its_own_with_a_link() {
    let Some(spans) = spans(Trace::Link).await else { return };
    for span in spans.named("process thing.changed") {
        assert_ne!(span.span_context.trace_id().to_string(), TRACE);
        let linked = &span.links.links[0].span_context;
        assert_eq!(
            (linked.trace_id().to_string(), linked.span_id().to_string()),
            (TRACE.into(), PUBLISH.into())
        );
    }
}
