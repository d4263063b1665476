//! The shop's events as messages of an outbox.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use serde_json::Error;
use shop_core::{Clock, events::Event};
use shop_messaging::HeaderValue;
use shop_outbox::NewMessage;

/// What an event is about: the aggregate whose events stay in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// The kind of thing, such as `order`.
    pub kind: &'static str,
    /// Its id. What concerns one order has the order's id, so that a consumer handles it in order.
    pub id: String,
    /// Its version after the change.
    pub version: i64,
}

/// The message that announces `event`, to be appended by [`shop_outbox::append`] or [`Effect::announcing`](crate::consumer::Effect).
///
/// Its headers have the attributes of a CloudEvent in binary mode, whose data is the payload: `ce-specversion`, `ce-id`, `ce-type`, `ce-source`
/// (`/` and `source`, the name of the service), `ce-subject` (the aggregate's id) and `ce-time` (CloudEvents 1.0.2).
///
/// # Errors
/// The payload cannot be written as JSON.
pub fn announcement<E: Event>(
    event: &E,
    aggregate: Aggregate,
    source: &str,
    clock: &Clock,
) -> Result<NewMessage, Error> {
    let (id, created_at) = (clock.new_id(), clock.now());
    let text = |name: &str, value: String| (name.to_owned(), HeaderValue::Text(value));
    let headers = BTreeMap::from([
        text("ce-specversion", "1.0".to_owned()),
        text("ce-id", id.to_string()),
        text("ce-type", E::TYPE.to_owned()),
        text("ce-source", format!("/{source}")),
        text("ce-subject", aggregate.id.clone()),
        text("ce-time", created_at.to_rfc3339_opts(SecondsFormat::Millis, true)),
    ]);
    let Aggregate { kind, id: aggregate_id, version } = aggregate;
    NewMessage {
        id,
        aggregate_type: kind.to_owned(),
        aggregate_id,
        aggregate_version: version,
        event_type: E::TYPE.to_owned(),
        routing_key: E::ROUTING_KEY.to_owned(),
        payload: String::new(),
        headers,
        created_at,
    }
    .with_payload(event)
}
