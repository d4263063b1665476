use std::collections::HashMap;

use opentelemetry::global;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A place in a trace (W3C `traceparent`), for work that is stored now and done later: kept in its row, it makes the work a part of the
/// trace that caused it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceParent(Option<String>);

const HEADER: &str = "traceparent";

impl TraceParent {
    /// The current span's.
    pub fn current() -> Self {
        let mut carrier = HashMap::new();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&Span::current().context(), &mut carrier);
        });
        Self(carrier.remove(HEADER))
    }

    /// As it was stored.
    pub fn from_stored(text: Option<String>) -> Self {
        Self(text)
    }

    /// To be stored; at most 55 characters. `None` if there is no trace.
    pub fn as_text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Makes `span`, which has not been entered yet, a part of this trace.
    pub fn continue_in(&self, span: &Span) {
        let carrier: HashMap<_, _> = self.0.iter().map(|text| (HEADER.to_owned(), text.clone())).collect();
        let context = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        // An error only says that the span is disabled by the filter.
        let _ = span.set_parent(context);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn work_that_is_done_later_belongs_to_the_trace_that_caused_it() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber =
            tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        let _installed = tracing::subscriber::set_default(subscriber);
        let trace_of = |span: &Span| span.context().span().span_context().trace_id();
        let cause = tracing::info_span!("cause");
        let stored = cause.in_scope(|| TraceParent::current().as_text().map(str::to_owned));
        let later = tracing::info_span!(parent: None, "later");
        TraceParent::from_stored(stored).continue_in(&later);
        assert_eq!(trace_of(&later), trace_of(&cause));
        let other = tracing::info_span!(parent: None, "other");
        TraceParent::from_stored(None).continue_in(&other);
        assert_ne!(trace_of(&other), trace_of(&cause));
    }
}
