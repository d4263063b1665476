//! docs/events: a JSON Schema for each event, and the AsyncAPI document. `cargo xtask generate` writes them from the types.

use std::collections::BTreeSet;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::files::{docs_folder, documentation, golden, golden_folder, names};

const ASYNCAPI: &str = "asyncapi.json";

/// What a document under test is called; nothing is loaded from there.
const DOCUMENT: &str = "https://shop.invalid/document.json";

/// A compiled schema. Formats are checked, so a text is not taken for a UUID.
struct Checked {
    schemas: Schemas,
    schema: SchemaIndex,
}

impl Checked {
    /// Of a whole document, at the JSON pointer `place` (empty for a document that is a schema).
    fn new(document: Value, place: &str, draft: Draft) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(draft);
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, document).unwrap();
        let schema = compiler.compile(&format!("{DOCUMENT}#{place}"), &mut schemas);
        let schema = schema.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        Self { schemas, schema }
    }

    fn of_event(event_type: &str) -> Self {
        Self::new(documentation(&format!("{event_type}.json")), "", Draft::V4)
    }

    /// Why it is refused.
    fn check(&self, payload: &Value) -> Result<(), String> {
        self.schemas.validate(payload, self.schema).map_err(|error| error.to_string())
    }
}

fn payload(file: &str) -> Value {
    serde_json::from_str(&golden(file)).unwrap()
}

/// `order_created.first.json` is a form of `order_created`.
fn event_of(file: &str) -> &str {
    file.split('.').next().unwrap()
}

#[test]
fn every_event_has_a_schema_of_draft_2020_12() {
    let documented = names(&docs_folder()).into_iter().filter(|name| name != ASYNCAPI);
    let golden: BTreeSet<String> =
        names(&golden_folder()).iter().map(|file| format!("{}.json", event_of(file))).collect();
    assert_eq!(documented.collect::<BTreeSet<_>>(), golden);
    for file in &golden {
        let schema = documentation(file);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{file}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{file}");
        for (name, field) in schema["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{file}: {name} is not described");
        }
    }
}

#[test]
fn every_form_of_a_payload_is_valid() {
    for file in names(&golden_folder()) {
        let checked = Checked::of_event(event_of(&file)).check(&payload(&file));
        assert!(checked.is_ok(), "{file}: {checked:?}");
    }
}

#[test]
fn a_wrong_payload_is_refused_for_what_is_wrong_with_it() {
    for (event, pointer, wrong) in [
        ("order_created", "/order_id", json!("42")),
        ("order_created", "/customer_email", json!("buyer")),
        ("order_created", "/total_amount", json!("2500.00")),
        ("order_created", "/total_amount", json!(-0.01)),
        ("order_created", "/items/0/quantity", json!(-1)),
        ("order_created", "/items/0/quantity", json!(1.5)),
        ("order_created", "/items/1", json!("a lamp")),
        ("order_created", "/currency", json!("roubles")),
        ("order_cancelled", "/code", json!(7)),
        ("order_cancelled", "/reason", json!(null)),
        ("stock_reserved", "/reserved_until", json!("soon")),
        ("stock_rejected", "/shortages/0/available", json!("none")),
        ("payment_processed", "/payment_id", json!(null)),
        ("payment_failed", "/code", json!(["declined"])),
        ("order_shipped", "/tracking_number", json!(123)),
    ] {
        let mut payload = payload(&format!("{event}.json"));
        *payload.pointer_mut(pointer).unwrap() = wrong.clone();
        let refused = Checked::of_event(event).check(&payload);
        let why = refused.expect_err(&format!("{event}{pointer} = {wrong}"));
        assert!(why.contains(&format!("'{pointer}'")), "{event}{pointer} = {wrong}: {why}");
    }
}

#[test]
fn a_payload_without_what_every_form_has_is_refused() {
    for file in names(&golden_folder()).iter().filter(|file| file.matches('.').count() == 1) {
        let mut payload = payload(file);
        payload.as_object_mut().unwrap().remove("order_id").unwrap();
        let why = Checked::of_event(event_of(file)).check(&payload).expect_err(file);
        assert!(why.contains("order_id"), "{file}: {why}");
    }
}

/// A schema with `multipleOf: 0.01` would refuse every ninth amount, because validators divide floating-point numbers.
#[test]
fn every_amount_is_valid() {
    let order_confirmed = Checked::of_event("order_confirmed");
    let mut payload = payload("order_confirmed.json");
    for minor in (0..10_000_i64).chain([999_999_999_999]) {
        payload["total_amount"] =
            serde_json::from_str(&format!("{}.{:02}", minor / 100, minor % 100)).unwrap();
        let checked = order_confirmed.check(&payload);
        assert!(checked.is_ok(), "{checked:?}");
    }
}

/// What `$ref` names, in `value` and below.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_the_asyncapi_document_refers_to_is_in_it() {
    let document = documentation(ASYNCAPI);
    let references = references(&document);
    assert!(references.len() > 50, "only {} references", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} is elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for (name, operation) in document["operations"].as_object().unwrap() {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        for message in operation["messages"].as_array().unwrap() {
            let message = message["$ref"].as_str().unwrap();
            assert!(
                message.starts_with(&format!("{channel}/messages/")),
                "{name}: {message} is not of {channel}"
            );
        }
    }
}

#[test]
fn every_event_is_sent_by_one_service_and_its_example_is_valid() {
    let document = documentation(ASYNCAPI);
    let messages = document["components"]["messages"].as_object().unwrap();
    let events: BTreeSet<String> =
        names(&golden_folder()).iter().map(|file| event_of(file).to_owned()).collect();
    assert_eq!(messages.keys().cloned().collect::<BTreeSet<_>>(), events);
    for event in &events {
        let channel = &document["channels"][event];
        assert_eq!(channel["address"], json!(event.replace('_', ".")));
        assert_eq!(channel["bindings"]["amqp"]["exchange"]["name"], "shop_events");
        let sends = |operation: &&Value| {
            operation["action"] == "send" && operation["channel"]["$ref"] == format!("#/channels/{event}")
        };
        let senders = document["operations"].as_object().unwrap().values().filter(sends).count();
        assert_eq!(senders, 1, "{event}");
        // The format of AsyncAPI's own schemas is a superset of draft 7.
        let part = |part: &str| {
            let place = format!("/components/messages/{event}/{part}");
            Checked::new(document.clone(), &place, Draft::V7)
        };
        for example in messages[event]["examples"].as_array().unwrap() {
            assert_eq!(example["payload"], payload(&format!("{event}.json")));
            part("payload").check(&example["payload"]).unwrap();
            part("headers").check(&example["headers"]).unwrap();
            let mut wrong = example["headers"].clone();
            wrong["ce-type"] = json!("another");
            assert!(part("headers").check(&wrong).is_err(), "{event}: another event's headers");
        }
    }
}
