//! The trace context on its way through a row and into a message: W3C `traceparent` and `tracestate`.

use std::collections::{BTreeMap, HashMap};

use opentelemetry::{Context, global};
use shop_messaging::HeaderValue;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The current span's context as a JSON object, for the row.
pub(crate) fn current_headers() -> String {
    let mut carrier = HashMap::new();
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    carrier.retain(|_, value: &mut String| !value.is_empty());
    serde_json::to_string(&carrier).unwrap_or_else(|_| "{}".to_owned())
}

/// The context that a row's headers carry.
pub(crate) fn parent(headers: &str) -> Context {
    // Headers that somebody else wrote into the row may hold anything; a trace is not worth a lost event.
    let carrier: HashMap<String, String> = serde_json::from_str(headers).unwrap_or_default();
    global::get_text_map_propagator(|propagator| propagator.extract(&carrier))
}

/// Writes `span`'s context into a message's headers.
pub(crate) fn inject(span: &Span, headers: &mut BTreeMap<String, HeaderValue>) {
    let mut carrier = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&span.context(), &mut carrier));
    headers.extend(
        carrier.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value.into())),
    );
}
