//! The trace context in a row and in a message: W3C `traceparent` and `tracestate`. Without the feature
//! `tracing` there is none, and headers pass unchanged.

#[cfg(feature = "tracing")]
mod context;
#[cfg(not(feature = "tracing"))]
#[path = "no_context.rs"]
mod context;

use std::collections::BTreeMap;

use shop_messaging::HeaderValue;
use tracing::Span;

pub(crate) use self::context::{follow, inject, link};

/// `headers` and the current span's context as a JSON object, for the row.
pub(crate) fn headers(headers: &BTreeMap<String, HeaderValue>) -> String {
    let mut all = headers.clone();
    inject(&Span::current(), &mut all);
    // Texts and whole numbers are always valid JSON.
    serde_json::to_string(&all).unwrap_or_else(|_| "{}".to_owned())
}

/// A row's headers. Values that are neither text nor whole numbers are returned as their JSON text; something that is not an object, and so was
/// not written by `append`, as no headers: a trace is not worth losing an event.
pub(crate) fn read(headers: &str) -> BTreeMap<String, HeaderValue> {
    let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(headers).unwrap_or_default();
    let value = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => HeaderValue::Text(text),
        other => other.as_i64().map_or_else(|| HeaderValue::Text(other.to_string()), HeaderValue::Number),
    };
    all.into_iter().map(|(name, found)| (name, value(found))).collect()
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
