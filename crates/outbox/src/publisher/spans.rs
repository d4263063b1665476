//! The publish spans, in the trace in which an event was appended.

use shop_messaging::Message;
use tracing::{Span, field::Empty};

use crate::{store::Row, trace};

/// The message of a row, from `app_id`, with the context of its publish span.
pub(super) fn message(row: &Row, span: &Span, app_id: &str) -> Message {
    let mut message = Message { app_id: app_id.to_owned(), ..row.message.clone() };
    trace::inject(span, &mut message.headers);
    message
}

/// The publish span of a row: a part of the trace in which the row was appended.
pub(super) fn span(row: &Row) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "outbox publish",
        otel.name = format!("publish {}", row.message.routing_key),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.type = "send",
        messaging.message.id = %row.message.id,
        messaging.rabbitmq.destination.routing_key = row.message.routing_key,
        outbox.aggregate_id = row.aggregate.id,
        outbox.attempt = row.attempts + 1,
    );
    trace::follow(&span, &row.message.headers);
    span
}
