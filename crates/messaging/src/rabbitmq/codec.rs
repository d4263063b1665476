use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::DateTime;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use uuid::Uuid;

use crate::{HeaderValue, Message};

/// `delivery_mode`: written to disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// A message's AMQP properties. Its texts are short enough, because `Message::refusal` was checked before.
pub(super) fn properties(message: &Message) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        let value = match value {
            HeaderValue::Number(number) => AMQPValue::LongLongInt(*number),
            HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
        };
        headers.insert(name.as_str().into(), value);
    }
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(message.id.hyphenated().to_string().into())
        .with_type(message.kind.as_str().into())
        .with_app_id(message.app_id.as_str().into())
        .with_timestamp(u64::try_from(message.timestamp.timestamp()).unwrap_or_default())
        .with_headers(headers)
}

/// The message's id; `None` when it has none, or one that is not a UUID.
pub(super) fn id(properties: &BasicProperties) -> Option<Uuid> {
    Uuid::try_parse(properties.message_id().as_ref()?.as_str()).ok()
}

/// Reads a message from a queue. Headers of other types than ours, and the broker's own, are left out.
pub(super) fn message(
    id: Uuid,
    routing_key: &str,
    properties: &BasicProperties,
    payload: Vec<u8>,
) -> Message {
    let text = |text: &Option<lapin::types::ShortString>| {
        text.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default()
    };
    let timestamp = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
    Message {
        id,
        kind: text(properties.kind()),
        routing_key: routing_key.to_owned(),
        app_id: text(properties.app_id()),
        timestamp: timestamp.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).unwrap_or_default(),
        headers: headers(properties),
        payload: Bytes::from(payload),
    }
}

fn headers(properties: &BasicProperties) -> BTreeMap<String, HeaderValue> {
    let headers = properties.headers().iter().flatten();
    let ours = headers.filter(|(name, _)| !is_brokers_own(name.as_str()));
    ours.filter_map(|(name, value)| Some((name.as_str().to_owned(), header_value(value)?))).collect()
}

fn header_value(value: &AMQPValue) -> Option<HeaderValue> {
    match value {
        AMQPValue::LongString(text) => {
            String::from_utf8(text.as_bytes().to_vec()).ok().map(HeaderValue::Text)
        }
        AMQPValue::ShortString(text) => Some(HeaderValue::Text(text.as_str().to_owned())),
        value => number(value).map(HeaderValue::Number),
    }
}

fn number(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(number) => Some(number.into()),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => Some(number.into()),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => Some(number.into()),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => Some(number),
        _ => None,
    }
}

/// Which delivery of a quorum queue's message this is, from 1 on.
pub(super) fn attempt(properties: &BasicProperties) -> u32 {
    let returned = properties.headers().as_ref().and_then(|headers| headers.inner().get("x-delivery-count"));
    let returned = returned.and_then(number).and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    returned.saturating_add(1)
}

/// Why a message is among the dead letters, as the broker puts it.
pub(super) fn death_reason(properties: &BasicProperties) -> String {
    let reason =
        properties.headers().as_ref().and_then(|headers| headers.inner().get("x-first-death-reason"));
    match reason.and_then(header_value) {
        Some(HeaderValue::Text(reason)) => reason,
        _ => "unknown".to_owned(),
    }
}

/// The properties of a dead letter as they were when it was alive.
pub(super) fn revived(properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in properties.headers().iter().flatten() {
        if !is_brokers_own(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    properties.clone().with_headers(headers)
}

fn is_brokers_own(header: &str) -> bool {
    matches!(header, "x-death" | "x-delivery-count" | "x-stream-offset")
        || header.starts_with("x-first-death-")
        || header.starts_with("x-last-death-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_survives_its_wire_form(
            id in any::<u128>(),
            [kind, routing_key, app_id] in prop::array::uniform3(".{0,60}"),
            seconds in 0..4_000_000_000_i64,
            texts in prop::collection::btree_map("[a-z]{1,20}", ".{0,50}", 0..4),
            number in any::<i64>(),
            payload in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let mut headers: BTreeMap<_, _> =
                texts.into_iter().map(|(name, text)| (name, HeaderValue::Text(text))).collect();
            headers.insert("aggregate_version".to_owned(), HeaderValue::Number(number));
            let sent = Message {
                id: Uuid::from_u128(id),
                kind,
                routing_key,
                app_id,
                timestamp: DateTime::from_timestamp(seconds, 0).unwrap(),
                headers,
                payload: payload.clone().into(),
            };
            let properties = properties(&sent);
            prop_assert_eq!(super::id(&properties), Some(sent.id));
            prop_assert_eq!(message(sent.id, &sent.routing_key, &properties, payload), sent);
        }
    }
}
