//! With OpenTelemetry's propagator, whichever the process has set.

use std::collections::BTreeMap;

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use shop_messaging::HeaderValue;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes `span` a part of the trace whose context is in `headers`.
pub(crate) fn follow(span: &Span, headers: &BTreeMap<String, HeaderValue>) {
    // An error only says that the span is disabled by the filter.
    let _ = span.set_parent(context(headers));
}

/// Links `span`, which belongs to another trace, to the span whose context is in `headers`.
pub(crate) fn link(span: &Span, headers: &BTreeMap<String, HeaderValue>) {
    span.add_link(context(headers).span().span_context().clone());
}

fn context(headers: &BTreeMap<String, HeaderValue>) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&Carrier(headers)))
}

/// Writes `span`'s context into a message's headers; without a context, they stay unchanged.
pub(crate) fn inject(span: &Span, headers: &mut BTreeMap<String, HeaderValue>) {
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut CarrierMut(headers));
    });
}

struct Carrier<'a>(&'a BTreeMap<String, HeaderValue>);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_text()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

struct CarrierMut<'a>(&'a mut BTreeMap<String, HeaderValue>);

impl Injector for CarrierMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` means nothing.
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value.into());
        }
    }
}
