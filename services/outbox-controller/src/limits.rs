//! One fact has one home: whatever names a limit or a default of an outbox's options says what [`Options`] says. What is made from
//! [`Options`] by code needs no test: the variables' limits and the rules of the Kubernetes object.

use std::{fs, path::Path, time::Duration};

use kube::CustomResourceExt as _;
use serde_json::{Value, json};
use shop_outbox::{Bounds, Options};

use crate::{
    duration,
    election::{RENEW_DEADLINE, RETRY_PERIOD},
    object::OutboxPublisher,
};

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

fn values() -> Value {
    serde_saphyr::from_str(&file("charts/shop/values.yaml")).unwrap()
}

fn values_schema() -> Value {
    serde_json::from_str(&file("charts/shop/values.schema.json")).unwrap()
}

fn limits(schema: &Value) -> (Option<f64>, Option<f64>) {
    (schema["minimum"].as_f64(), schema["maximum"].as_f64())
}

fn numbers() -> [(&'static str, Bounds<f64>); 2] {
    let float =
        |min, max, default| Bounds { min: f64::from(min), max: f64::from(max), default: f64::from(default) };
    let (batch, attempts) = (Options::BATCH_SIZE, Options::MAX_ATTEMPTS);
    [
        ("/batchSize", float(batch.min as u32, batch.max as u32, batch.default as u32)),
        ("/retry/maxAttempts", float(attempts.min, attempts.max, attempts.default)),
    ]
}

const DURATIONS: [(&str, Bounds<Duration>); 5] = [
    ("/pollInterval", Options::POLL_INTERVAL),
    ("/publishDeadline", Options::PUBLISH_DEADLINE),
    ("/retention", Options::RETENTION),
    ("/retry/firstPause", Options::FIRST_PAUSE),
    ("/retry/longestPause", Options::LONGEST_PAUSE),
];

/// Where a field is in a schema, when it is at `path` in an object.
fn in_schema(path: &str) -> String {
    path.replace('/', "/properties/")
}

#[test]
fn the_object_has_the_limits_and_defaults_of_the_options() {
    let crd = serde_json::to_value(OutboxPublisher::crd()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    for (path, bounds) in numbers() {
        let field = spec.pointer(&in_schema(path)).unwrap();
        assert_eq!(limits(field), (Some(bounds.min), Some(bounds.max)), "{path}");
        assert_eq!(field["default"].as_f64(), Some(bounds.default), "{path}");
        let words = format!("{} to {}.", bounds.min, bounds.max);
        assert!(field["description"].as_str().unwrap().ends_with(&words), "{path}: {field}");
    }
    for (path, bounds) in DURATIONS {
        let field = spec.pointer(&in_schema(path)).unwrap();
        assert_eq!(field["default"], duration::write(bounds.default), "{path}");
        let words = format!("{} to {}.", duration::write(bounds.min), duration::write(bounds.max));
        assert!(field["description"].as_str().unwrap().ends_with(&words), "{path}: {field}");
        let rule = field["x-kubernetes-validations"][0]["message"].as_str().unwrap();
        let words = words.trim_end_matches('.');
        assert!(rule.starts_with(&format!("a duration from {words},")), "{path}: {rule}");
    }
}

#[test]
fn the_chart_has_the_limits_and_defaults_of_the_options() {
    let (schema, values) = (values_schema(), values());
    let (publisher, orders) = (&schema["$defs"]["outboxPublisher"], &values["outboxPublishers"]["orders"]);
    for (path, bounds) in numbers() {
        let field = publisher.pointer(&in_schema(path)).unwrap();
        assert_eq!(limits(field), (Some(bounds.min), Some(bounds.max)), "{path}");
        assert_eq!(orders.pointer(path).and_then(Value::as_f64), Some(bounds.default), "{path}");
    }
    for (path, bounds) in DURATIONS {
        let default = duration::write(bounds.default);
        assert_eq!(orders.pointer(path), Some(&json!(default)), "{path}");
    }
    let lease = schema.pointer("/properties/controller/properties/lease/properties").unwrap();
    for (name, bounds) in [
        ("durationSeconds", Options::LEASE),
        ("renewDeadlineSeconds", RENEW_DEADLINE),
        ("retryPeriodSeconds", RETRY_PERIOD),
    ] {
        let limits = limits(&lease[name]);
        assert_eq!(limits, (Some(bounds.min.as_secs_f64()), Some(bounds.max.as_secs_f64())), "{name}");
        let default = values["controller"]["lease"][name].as_f64();
        assert_eq!(default, Some(bounds.default.as_secs_f64()), "{name}");
    }
}

#[test]
fn the_readme_names_the_defaults_of_the_variables() {
    let whole = |bounds: Bounds<Duration>| bounds.default.as_secs();
    let defaults = [
        ("OUTBOX_BATCH_SIZE", Options::BATCH_SIZE.default as u64),
        ("OUTBOX_POLL_INTERVAL_MS", Options::POLL_INTERVAL.default.as_millis() as u64),
        ("OUTBOX_LEASE_SECONDS", whole(Options::LEASE)),
        ("OUTBOX_PUBLISH_DEADLINE_SECONDS", whole(Options::PUBLISH_DEADLINE)),
        ("OUTBOX_MAX_ATTEMPTS", u64::from(Options::MAX_ATTEMPTS.default)),
        ("OUTBOX_RETENTION_HOURS", whole(Options::RETENTION) / 3600),
        ("OUTBOX_RENEW_DEADLINE_SECONDS", whole(RENEW_DEADLINE)),
        ("OUTBOX_RETRY_PERIOD_SECONDS", whole(RETRY_PERIOD)),
    ];
    for readme in ["README.md", "README.ru.md"] {
        let text = file(readme);
        for (variable, default) in defaults {
            let rows = text.lines().filter(|line| line.starts_with(&format!("| `{variable}` |")));
            let rows: Vec<&str> = rows.collect();
            assert!(!rows.is_empty(), "{readme}: {variable}");
            for row in rows {
                assert!(row.starts_with(&format!("| `{variable}` | `{default}` |")), "{readme}: {row}");
            }
        }
        let Bounds { min, max, .. } = Options::BATCH_SIZE;
        let row = text.lines().find(|line| line.contains("OUTBOX_BATCH_SIZE")).unwrap();
        assert!(row.contains(&min.to_string()) && row.contains(&max.to_string()), "{readme}: {row}");
    }
}
