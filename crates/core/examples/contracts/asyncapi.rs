//! The AsyncAPI 3.0 document: channels, messages, and who sends and receives them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use shop_core::events::EXCHANGE;

use crate::{
    participants::{PARTICIPANTS, Participant, Queue},
    schema::{COMPONENTS, Contract},
};

/// The version of AsyncAPI's bindings for AMQP.
const BINDING: &str = "0.3.0";

/// In the order in which a person reads it.
#[derive(Serialize)]
struct Document {
    asyncapi: &'static str,
    info: Value,
    #[serde(rename = "defaultContentType")]
    default_content_type: &'static str,
    servers: Value,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    components: Value,
}

/// The document, as JSON.
pub(crate) fn document(contracts: &[Contract]) -> serde_json::Result<String> {
    let routing_keys =
        contracts.iter().map(|contract| (contract.event_type.to_owned(), routing_key(contract)));
    let queues = PARTICIPANTS.iter().flat_map(|participant| participant.queues);
    let queues = queues.map(|queue| (channel_of(queue), queue_channel(queue, contracts)));
    serde_json::to_string_pretty(&Document {
        asyncapi: "3.0.0",
        info: info(),
        default_content_type: "application/json",
        servers: json!({ "rabbitmq": {
            "host": "rabbitmq:5672",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "description": "The broker in compose. In one process (`cargo run`) the bus is inside the process and has no address.",
        }}),
        channels: routing_keys.chain(queues).collect(),
        operations: PARTICIPANTS.iter().flat_map(operations).collect(),
        components: json!({ "messages": messages(contracts), "schemas": schemas(contracts) }),
    })
}

fn info() -> Value {
    json!({
        "title": "Events of the shop",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        "description": "An order's life, by events. Every event is published to one topic exchange by the outbox of the service that \
            sends it, at least once, and in order for each order. A receiver recognises a duplicate by `message_id`, ignores \
            fields that it does not know, and reads a code that it does not know as the code's default. The payload is the body \
            alone; the headers `ce-*` make the message a CloudEvent in binary mode.",
    })
}

/// The channel of an event: a routing key of the exchange.
fn routing_key(contract: &Contract) -> Value {
    json!({
        "address": contract.routing_key,
        "title": contract.name,
        "description": contract.description,
        "messages": { contract.event_type: reference("#/components/messages", contract.event_type) },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": {
                "name": EXCHANGE, "type": "topic", "durable": true, "autoDelete": false, "vhost": "/",
            },
            "bindingVersion": BINDING,
        }},
    })
}

/// The channel of a queue, with everything that is routed to it.
fn queue_channel(queue: &Queue, contracts: &[Contract]) -> Value {
    let received = || contracts.iter().filter(|contract| queue.receives.contains(&contract.event_type));
    let keys: Vec<String> = received().map(|contract| format!("`{}`", contract.routing_key)).collect();
    let messages = received().map(|contract| {
        (contract.event_type.to_owned(), reference("#/components/messages", contract.event_type))
    });
    json!({
        "address": queue.name,
        "title": format!("Queue {}", queue.name),
        "description": format!("{}. Bound to {}.", queue.purpose, keys.join(", ")),
        "messages": messages.collect::<Map<_, _>>(),
        "bindings": { "amqp": {
            "is": "queue",
            "queue": {
                "name": queue.name, "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/",
            },
            "bindingVersion": BINDING,
        }},
    })
}

fn channel_of(queue: &Queue) -> String {
    format!("queue_{}", queue.name.replace('.', "_"))
}

fn operations(participant: &Participant) -> impl Iterator<Item = (String, Value)> {
    let Participant { service, purpose, sends, queues } = participant;
    let tags = json!([{ "name": service, "description": purpose }]);
    let of_service = tags.clone();
    let sent = sends.iter().map(move |event_type| {
        let operation = json!({
            "action": "send",
            "title": format!("{service} sends {event_type}"),
            "channel": reference("#/channels", event_type),
            "messages": [reference(&format!("#/channels/{event_type}/messages"), event_type)],
            "bindings": { "amqp": {
                "deliveryMode": 2, "mandatory": true, "timestamp": true, "bindingVersion": BINDING,
            }},
            "tags": of_service,
        });
        (format!("{service}_sends_{event_type}"), operation)
    });
    let received = queues.iter().map(move |queue| {
        let channel = channel_of(queue);
        let message = |event_type| reference(&format!("#/channels/{channel}/messages"), event_type);
        let operation = json!({
            "action": "receive",
            "title": format!("{service} receives from {}", queue.name),
            "channel": reference("#/channels", &channel),
            "messages": queue.receives.iter().map(|event_type| message(event_type)).collect::<Vec<_>>(),
            "bindings": { "amqp": { "ack": true, "bindingVersion": BINDING } },
            "tags": tags,
        });
        (format!("{service}_receives_from_{channel}"), operation)
    });
    sent.chain(received)
}

fn messages(contracts: &[Contract]) -> Map<String, Value> {
    contracts.iter().map(|contract| (contract.event_type.to_owned(), message(contract))).collect()
}

fn message(contract: &Contract) -> Value {
    let Contract { event_type, name, description, example, .. } = contract;
    json!({
        "name": event_type,
        "title": name,
        "summary": description,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "allOf": [
                reference("#/components/schemas", "Headers"),
                { "properties": {
                    "aggregate_type": { "const": kind(event_type) },
                    "ce-type": { "const": event_type },
                }},
            ],
        },
        "payload": { "$ref": format!("{COMPONENTS}{name}") },
        "correlationId": {
            "description": "The order that the event concerns",
            "location": "$message.header#/aggregate_id",
        },
        "bindings": { "amqp": { "messageType": event_type, "bindingVersion": BINDING } },
        "examples": [{ "name": event_type, "headers": headers_of(contract), "payload": example }],
    })
}

/// What an event is about: `order`, or what stock and payment keep for an order.
fn kind(event_type: &str) -> &'static str {
    match event_type.split('_').next() {
        Some("stock") => "reservation",
        Some("payment") => "payment",
        _ => "order",
    }
}

/// Which service sends it.
fn sender(event_type: &str) -> &'static str {
    let sender = PARTICIPANTS.iter().find(|participant| participant.sends.contains(&event_type));
    sender.map_or("nobody", |participant| participant.service)
}

fn headers_of(contract: &Contract) -> Value {
    let order = &contract.example["order_id"];
    json!({
        "aggregate_type": kind(contract.event_type),
        "aggregate_id": order,
        "aggregate_version": 1,
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "ce-specversion": "1.0",
        "ce-id": "0198c0de-0000-7000-8000-00000000002a",
        "ce-type": contract.event_type,
        "ce-source": format!("/{}", sender(contract.event_type)),
        "ce-subject": order,
        "ce-time": "2027-01-15T08:00:00.000Z",
    })
}

/// Every schema, by name.
fn schemas(contracts: &[Contract]) -> BTreeMap<&str, Value> {
    let mut schemas = BTreeMap::from([("Headers", headers())]);
    for contract in contracts {
        schemas.insert(&contract.name, contract.schema.clone());
        schemas.extend(contract.definitions.iter().map(|(name, part)| (name.as_str(), part.clone())));
    }
    schemas
}

/// The headers of every message.
fn headers() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let fixed = |value: &str, description: &str| json!({ "const": value, "description": description });
    let matching = |pattern: &str, description: &str| json!({ "type": "string", "pattern": pattern, "description": description });
    json!({
        "type": "object",
        "description": "What the outbox and the sender say about a message.",
        "required": [
            "aggregate_type", "aggregate_id", "aggregate_version",
            "ce-specversion", "ce-id", "ce-type", "ce-source", "ce-subject", "ce-time",
        ],
        "properties": {
            "aggregate_type": text("What changed: an `order`, or the `reservation` or the `payment` of one."),
            "aggregate_id": {
                "type": "string",
                "format": "uuid",
                "description": "The order. What concerns one order is handled in the order of its arrival.",
            },
            "aggregate_version": {
                "type": "integer",
                "minimum": 1,
                "description": "Counts the changes of this order, or of its reservation or payment, from 1.",
            },
            "traceparent": matching(
                "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
                "The span that published the message (W3C Trace Context). Missing if nothing is traced.",
            ),
            "tracestate": text("The rest of the trace context, if there is any."),
            "ce-specversion": fixed("1.0", "The version of CloudEvents."),
            "ce-id": {
                "type": "string",
                "format": "uuid",
                "description": "The same as the property `message_id`: a repeated message has the same.",
            },
            "ce-type": text("The same as the property `type`."),
            "ce-source": matching("^/[a-z_]+$", "The service that the event comes from, such as `/order_service`."),
            "ce-subject": { "type": "string", "format": "uuid", "description": "The order." },
            "ce-time": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened (RFC 3339), to the millisecond; the property `timestamp` has seconds.",
            },
        },
    })
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("{place}/{name}") })
}
