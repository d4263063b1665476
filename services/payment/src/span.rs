//! The spans of work on a payment.

use shop_runtime::TraceParent;
use tracing::{Span, field::Empty};

/// A span of the trace of the event that opened the payment. `name` has no ids in it.
pub(crate) fn of(name: &'static str, trace: &TraceParent) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "payment",
        otel.name = name,
        otel.status_code = Empty,
        otel.status_description = Empty,
        outcome = Empty,
    );
    trace.continue_in(&span);
    span
}
