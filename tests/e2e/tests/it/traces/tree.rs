//! How the spans of a trace hang together.

use std::collections::{BTreeMap, BTreeSet};

use shop_testing::otlp::Span;

/// `service: name`
pub(super) fn title(span: &Span) -> String {
    format!("{}: {}", span.service, span.name)
}

pub(super) fn find<'s>(spans: &'s [Span], id: &str) -> Option<&'s Span> {
    spans.iter().find(|span| span.span_id == id)
}

/// The span above `span`.
pub(super) fn parent<'s>(spans: &'s [Span], span: &Span) -> Option<&'s Span> {
    find(spans, span.parent_span_id.as_deref()?)
}

/// The span above `span`; above a root, the only one that it is linked to.
pub(super) fn before<'s>(spans: &'s [Span], span: &Span) -> Option<&'s Span> {
    match &span.links[..] {
        [link] if span.parent_span_id.is_none() => find(spans, &link.span_id),
        _ => parent(spans, span),
    }
}

/// The titles from the root down to `span`, where `above` says what comes before a span.
pub(super) fn way_to<'s>(
    spans: &'s [Span],
    span: &'s Span,
    above: impl Fn(&'s [Span], &'s Span) -> Option<&'s Span>,
) -> Vec<String> {
    let mut way = vec![title(span)];
    let mut here = span;
    while let Some(next) = above(spans, here) {
        way.push(title(next));
        here = next;
    }
    way.reverse();
    way
}

/// The spans of one trace.
pub(super) fn trace<'s>(spans: &'s [Span], trace_id: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.trace_id == trace_id).collect()
}

/// Whether every span's parent has arrived, too: spans come in batches, each service's when it likes.
pub(super) fn is_whole(spans: &[Span], trace_id: &str) -> bool {
    trace(spans, trace_id)
        .iter()
        .all(|span| span.parent_span_id.as_ref().is_none_or(|parent| find(spans, parent).is_some()))
}

/// How often there is a span with each of these titles, of those whose name begins with `prefix`.
pub(super) fn count<'s>(spans: impl IntoIterator<Item = &'s Span>, prefix: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for span in spans.into_iter().filter(|span| span.name.starts_with(prefix)) {
        *counts.entry(title(span)).or_default() += 1;
    }
    counts
}

/// The traces that `spans` belong to.
pub(super) fn traces<'s>(spans: impl IntoIterator<Item = &'s Span>) -> BTreeSet<&'s str> {
    spans.into_iter().map(|span| span.trace_id.as_str()).collect()
}
