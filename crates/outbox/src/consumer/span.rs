//! The span of a handling, following the semantic conventions for messaging.

use shop_messaging::{Delivery, HeaderValue, Subscription};
use tracing::{Span, field::Empty};

use super::Trace;
use crate::trace;

/// The span of one attempt to handle `delivery`.
pub(super) fn of(delivery: &Delivery, subscription: &Subscription, how: Trace) -> Span {
    let message = &delivery.message;
    let span = tracing::info_span!(
        parent: None,
        "consumer process",
        otel.name = format!("process {}", message.routing_key),
        otel.kind = "consumer",
        otel.status_code = Empty,
        otel.status_description = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = subscription.exchange,
        messaging.destination.subscription.name = subscription.queue,
        messaging.consumer.group.name = subscription.queue,
        messaging.message.id = %message.id,
        messaging.message.body.size = message.payload.len(),
        messaging.rabbitmq.destination.routing_key = message.routing_key,
        event_type = message.kind,
        // The same name as on the spans that append and publish: one search finds everything that happened to an aggregate.
        outbox.aggregate_id = message.headers.get("aggregate_id").and_then(HeaderValue::as_text),
        attempt = delivery.attempt,
        outcome = Empty,
    );
    match how {
        Trace::Child => trace::follow(&span, &message.headers),
        Trace::Link => trace::link(&span, &message.headers),
    }
    span
}

/// Records how the attempt ended; `error` if it failed.
pub(super) fn ended(span: &Span, outcome: &'static str, error: Option<&str>) {
    span.record("outcome", outcome);
    if let Some(error) = error {
        span.record("otel.status_code", "ERROR").record("otel.status_description", error);
    }
}
