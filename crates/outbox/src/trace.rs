//! The trace context on its way through a row and into a message: W3C `traceparent` and `tracestate`.

use std::collections::BTreeMap;

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
};
use shop_messaging::HeaderValue;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// `headers` and the current span's context as a JSON object, for the row.
pub(crate) fn headers(headers: &BTreeMap<String, HeaderValue>) -> String {
    let mut all = headers.clone();
    inject(&Span::current(), &mut all);
    // Texts and whole numbers are always JSON.
    serde_json::to_string(&all).unwrap_or_else(|_| "{}".to_owned())
}

/// A row's headers. What is neither text nor a whole number comes as its JSON text; what is no object at all, and so was
/// not written by `append`, as none: a trace is not worth a lost event.
pub(crate) fn read(headers: &str) -> BTreeMap<String, HeaderValue> {
    let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(headers).unwrap_or_default();
    let value = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => HeaderValue::Text(text),
        other => other.as_i64().map_or_else(|| HeaderValue::Text(other.to_string()), HeaderValue::Number),
    };
    all.into_iter().map(|(name, found)| (name, value(found))).collect()
}

/// The context that a row's headers carry.
pub(crate) fn parent(headers: &BTreeMap<String, HeaderValue>) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&Carrier(headers)))
}

/// Writes `span`'s context into a message's headers; without one, what is there stays.
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
        // An empty `tracestate` says nothing.
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_row_holds_its_headers_are_texts_and_numbers() {
        let read = read(r#"{"text":"a","number":-7,"fraction":1.5,"nested":{"a":[1]},"nothing":null}"#);
        let text = |text: &str| HeaderValue::from(text);
        assert_eq!(read["text"], text("a"));
        assert_eq!(read["number"], (-7).into());
        assert_eq!(read["fraction"], text("1.5"));
        assert_eq!(read["nested"], text(r#"{"a":[1]}"#));
        assert_eq!(read["nothing"], text("null"));
        for rubbish in ["", "7", "[]", "\"text\"", "{"] {
            assert!(super::read(rubbish).is_empty(), "{rubbish}");
        }
    }
}
