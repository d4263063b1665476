//! Where a request's trace begins. Somebody who can choose a trace's id can choose the id that an error shows, and somebody who can
//! switch off its recording can hide. So a caller's `traceparent` is used only if the caller is trusted: because the setting
//! says that only the shop's own services can call, or because this process made the call.

use std::sync::LazyLock;

use aws_lc_rs::{hmac, rand::SystemRandom};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{global, trace::TraceContextExt as _};
use opentelemetry_http::HeaderExtractor;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Vouches for the `traceparent` beside it.
const PROOF: HeaderName = HeaderName::from_static("shop-trace-proof");

/// Known only to this process, which may contain several services. `None` if the system has no randomness.
static KEY: LazyLock<Option<hmac::Key>> =
    LazyLock::new(|| hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok());

/// Vouches for the trace context in a call's headers, for services in the same process.
pub(crate) fn vouch(headers: &mut HeaderMap) {
    let Some(key) = &*KEY else { return };
    if headers.contains_key("traceparent") {
        let proof = URL_SAFE_NO_PAD.encode(hmac::sign(key, &vouched(headers)));
        if let Ok(proof) = HeaderValue::try_from(proof) {
            headers.insert(PROOF, proof);
        }
    }
}

/// Makes `span` a child of the caller's span if the caller is trusted. Otherwise the span begins a trace, with a link to the
/// caller's.
pub(super) fn set_parent(span: &Span, headers: &HeaderMap, trusts_all: bool) {
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)));
    if trusts_all || is_vouched_for(headers) {
        // The only error is that the filter has disabled the span.
        let _ = span.set_parent(context);
    } else if context.span().span_context().is_valid() {
        span.add_link(context.span().span_context().clone());
    }
}

fn is_vouched_for(headers: &HeaderMap) -> bool {
    let proof = headers.get(PROOF).and_then(|proof| URL_SAFE_NO_PAD.decode(proof).ok());
    let (Some(key), Some(proof)) = (&*KEY, proof) else { return false };
    hmac::verify(key, &vouched(headers), &proof).is_ok()
}

fn vouched(headers: &HeaderMap) -> Vec<u8> {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    [value("traceparent"), b"\n", value("tracestate")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const PARENT: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

    #[test]
    fn only_what_this_process_vouches_for_is_vouched_for() {
        let mut call = headers(&[PARENT, ("tracestate", "a=1")]);
        vouch(&mut call);
        assert!(is_vouched_for(&call));
        for (name, other) in [
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-01"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
            ("tracestate", "a=2"),
            ("shop-trace-proof", "AAAA"),
            ("shop-trace-proof", "?"),
        ] {
            let mut call = call.clone();
            call.insert(name, other.parse().unwrap());
            assert!(!is_vouched_for(&call), "{name}: {other}");
        }
        assert!(!is_vouched_for(&headers(&[PARENT])));
        let mut nothing = HeaderMap::new();
        vouch(&mut nothing);
        assert!(nothing.is_empty());
    }
}
