//! An event's payload as a JSON Schema.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use shop_core::events::Event;

/// Where utoipa's references lead, which is also the place in an AsyncAPI document.
pub(crate) const COMPONENTS: &str = "#/components/schemas/";

/// What is documented of an event.
pub(crate) struct Contract {
    /// `order_created`
    pub(crate) event_type: &'static str,
    /// `order.created`
    pub(crate) routing_key: &'static str,
    /// `OrderCreated`
    pub(crate) name: String,
    /// What it says.
    pub(crate) description: String,
    /// The payload. References lead to [`COMPONENTS`].
    pub(crate) schema: Value,
    /// What the payload refers to, by name.
    pub(crate) definitions: BTreeMap<String, Value>,
    /// A payload.
    pub(crate) example: Value,
}

/// A file of docs/events, in the order in which a person reads it.
#[derive(Serialize)]
struct Document {
    #[serde(rename = "$schema")]
    draft: &'static str,
    title: String,
    #[serde(flatten)]
    schema: Value,
    #[serde(rename = "$defs")]
    definitions: Map<String, Value>,
}

impl Contract {
    /// The contract of `E`, with an example of its payload.
    pub(crate) fn of<E: Event>(example: &str) -> serde_json::Result<Self> {
        let mut parts = Vec::new();
        E::schemas(&mut parts);
        let mut definitions = BTreeMap::new();
        for (name, part) in parts {
            definitions.insert(name, checkable(serde_json::to_value(part)?));
        }
        let schema = checkable(serde_json::to_value(E::schema())?);
        Ok(Self {
            event_type: E::TYPE,
            routing_key: E::ROUTING_KEY,
            name: E::name().into_owned(),
            description: schema["description"].as_str().unwrap_or_default().to_owned(),
            schema,
            definitions,
            example: serde_json::from_str(example)?,
        })
    }

    /// The payload's schema as a file that needs no other.
    pub(crate) fn json_schema(&self) -> serde_json::Result<String> {
        let definitions = self.definitions.iter();
        serde_json::to_string_pretty(&Document {
            draft: "https://json-schema.org/draft/2020-12/schema",
            title: self.name.clone(),
            schema: alone(self.schema.clone()),
            definitions: definitions.map(|(name, part)| (name.clone(), alone(part.clone()))).collect(),
        })
    }
}

/// Without `multipleOf`: validators divide floating-point numbers, and 0.29 / 0.01 is not a whole number to them. So they would
/// refuse every ninth amount.
fn checkable(schema: Value) -> Value {
    changed(schema, &|name, value| (name != "multipleOf").then_some(value))
}

/// With its references inside the file.
fn alone(schema: Value) -> Value {
    changed(schema, &|name, value| {
        let inside =
            value.as_str().filter(|_| name == "$ref").map(|target| target.replace(COMPONENTS, "#/$defs/"));
        Some(inside.map_or(value, Value::from))
    })
}

/// `schema` with what `change` makes of each member, in every depth; `None` removes it.
fn changed(schema: Value, change: &impl Fn(&str, Value) -> Option<Value>) -> Value {
    match schema {
        Value::Object(members) => {
            let members = members.into_iter().filter_map(|(name, value)| {
                let value = change(&name, value)?;
                Some((name, changed(value, change)))
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.into_iter().map(|item| changed(item, change)).collect(),
        other => other,
    }
}
