//! Checks an object against the rules of its definition, which old API servers do not check, and whether its Secrets contain
//! the named keys. No I/O.

use std::{fmt, time::Duration};

use k8s_openapi::ByteString;
use shop_outbox::{Bounds, Options};

use super::{
    problem::Problem,
    secrets::{References, Seen},
};
use crate::{
    config::{SHORT, is_reserved},
    duration,
    object::{self, OutboxPublisher, OutboxPublisherSpec},
};

/// How many of a Secret's keys an error names besides the missing one.
const NAMED_KEYS: usize = 10;

pub(super) const DATABASE: &str = "spec.database.secretRef";
pub(super) const BROKER: &str = "spec.broker.secretRef";

/// An object that keeps the rules, with its numbers and durations read, and the addresses that its Secrets hold.
pub(super) struct Valid<'a> {
    pub(super) object: &'a OutboxPublisher,
    pub(super) numbers: Numbers,
    pub(super) durations: Durations,
    pub(super) database: &'a str,
    pub(super) broker: &'a str,
}

/// The numbers in a spec.
pub(super) struct Numbers {
    pub(super) batch_size: usize,
    pub(super) max_attempts: u32,
}

/// The durations in a spec.
pub(super) struct Durations {
    pub(super) poll_interval: Duration,
    pub(super) publish_deadline: Duration,
    pub(super) retention: Duration,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
}

/// Checks the object, and then what its Secrets hold.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn validate(references: References<'_>) -> Result<Valid<'_>, Problem> {
    let References { object, database: database_secret, broker: broker_secret } = references;
    let spec = &object.spec;
    let (numbers, durations) = (numbers(spec)?, durations(spec)?);
    names(spec)?;
    let (database, broker) = (&spec.database.secret_ref, &spec.broker.secret_ref);
    let database = text(DATABASE, &database.name, &database.key, database_secret)?;
    let broker = text(BROKER, &broker.name, &broker.key, broker_secret)?;
    Ok(Valid { object, numbers, durations, database, broker })
}

fn numbers(spec: &OutboxPublisherSpec) -> Result<Numbers, Problem> {
    Ok(Numbers {
        batch_size: number("batchSize", spec.batch_size, &Options::BATCH_SIZE)?,
        max_attempts: number("retry.maxAttempts", spec.retry.max_attempts, &Options::MAX_ATTEMPTS)?,
    })
}

fn number<T>(field: &'static str, found: i32, bounds: &Bounds<T>) -> Result<T, Problem>
where
    T: TryFrom<i32> + PartialOrd + fmt::Display,
{
    let within = T::try_from(found).ok().filter(|found| bounds.contains(found));
    within.ok_or_else(|| invalid(field, format!("from {} to {}", bounds.min, bounds.max)))
}

fn durations(spec: &OutboxPublisherSpec) -> Result<Durations, Problem> {
    let retry = &spec.retry;
    let durations = Durations {
        poll_interval: span("pollInterval", &spec.poll_interval, Options::POLL_INTERVAL)?,
        publish_deadline: span("publishDeadline", &spec.publish_deadline, Options::PUBLISH_DEADLINE)?,
        retention: span("retention", &spec.retention, Options::RETENTION)?,
        first_pause: span("retry.firstPause", &retry.first_pause, Options::FIRST_PAUSE)?,
        longest_pause: span("retry.longestPause", &retry.longest_pause, Options::LONGEST_PAUSE)?,
    };
    if durations.first_pause > durations.longest_pause {
        return Err(invalid("retry", object::PAUSES_IN_ORDER));
    }
    Ok(durations)
}

fn span(field: &'static str, text: &str, bounds: Bounds<Duration>) -> Result<Duration, Problem> {
    let within = duration::read(text).filter(|found| bounds.contains(found));
    within.ok_or_else(|| invalid(field, format!("{text:?} is not {}", object::words(bounds))))
}

fn names(spec: &OutboxPublisherSpec) -> Result<(), Problem> {
    let (exchange, event_log) = (Some(&spec.broker.exchange), spec.broker.event_log.as_ref());
    for (field, name) in [("broker.exchange", exchange), ("broker.eventLog", event_log)] {
        if name.is_some_and(|name| is_reserved(name)) {
            return Err(invalid(field, object::NOT_RESERVED));
        }
    }
    let texts = [("appId", spec.app_id.as_ref()), ("broker.eventLog", event_log)];
    let queues = spec.required_queues.iter().map(|queue| ("requiredQueues", Some(queue)));
    for (field, text) in texts.into_iter().chain(queues) {
        match text.map_or(1, String::len) {
            0 => return Err(invalid(field, "it is empty")),
            1..=SHORT => {}
            _ => return Err(invalid(field, object::SHORT)),
        }
    }
    Ok(())
}

fn invalid(field: &'static str, rule: impl Into<String>) -> Problem {
    Problem::Spec { field, rule: rule.into() }
}

/// The text under `key` of a Secret.
fn text<'a>(field: &'static str, secret: &str, key: &str, seen: &'a Seen) -> Result<&'a str, Problem> {
    let (secret, key) = (secret.to_owned(), key.to_owned());
    let data = match seen {
        Seen::Forbidden => return Err(Problem::Forbidden { field, secret }),
        Seen::Unknown(why) => return Err(Problem::Unknown { field, secret, why: why.clone() }),
        Seen::Absent => return Err(Problem::NoSecret { field, secret }),
        Seen::Secret(data) => data,
    };
    let Some(ByteString(bytes)) = data.get(&key) else {
        let has: Vec<&str> = data.keys().map(String::as_str).take(NAMED_KEYS).collect();
        let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
        return Err(Problem::NoKey { field, secret, key, has });
    };
    match std::str::from_utf8(bytes) {
        // Files that were made with an editor or `echo` end with a line break.
        Ok(text) => Ok(text.trim()),
        Err(_) => Err(Problem::Address { field, secret, key, why: "it is not text".to_owned() }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    /// The object with the least in it, changed.
    pub(in crate::kubernetes) fn object(change: impl FnOnce(&mut Value)) -> OutboxPublisher {
        let mut object = json!({
            "apiVersion": "outbox.shop.dev/v1alpha1",
            "kind": "OutboxPublisher",
            "metadata": { "name": "orders" },
            "spec": {
                "database": { "secretRef": { "name": "database" } },
                "broker": { "secretRef": { "name": "broker" } },
            },
        });
        change(&mut object["spec"]);
        serde_json::from_value(object).unwrap()
    }

    fn secret(key: &str) -> Seen {
        Seen::Secret(BTreeMap::from([(key.to_owned(), ByteString(b"s3cret\n".to_vec()))]))
    }

    fn problem(object: &OutboxPublisher) -> Problem {
        let (database, broker) = (&secret("uri"), &secret("connection_string"));
        validate(References { object, database, broker }).err().unwrap()
    }

    #[test]
    fn the_rules_of_the_definition_hold_without_an_api_server_too() {
        let field = |name: &str, value: Value| {
            problem(&object(|spec| match name.split_once('.') {
                Some((outer, inner)) => spec[outer][inner] = value,
                None => spec[name] = value,
            }))
        };
        for (name, values) in [
            ("batchSize", vec![json!(1), json!(2001), json!(-5)]),
            ("pollInterval", vec![json!("4ms"), json!("61s"), json!("-1s"), json!("99999999h"), json!("")]),
            ("publishDeadline", vec![json!("999ms"), json!("2m"), json!("10"), json!("0"), json!("1.s.5")]),
            ("retention", vec![json!("-1h"), json!("87601h"), json!("7d"), json!("1e3h"), json!("five")]),
            ("retention", vec![json!("9999999999999999999999999999999h"), json!("1h 30m"), json!("5us")]),
            ("retry.maxAttempts", vec![json!(0), json!(101)]),
            ("retry.firstPause", vec![json!("9ms"), json!("25h")]),
            ("retry.longestPause", vec![json!("9ms"), json!("25h")]),
            ("broker.exchange", vec![json!("amq.topic"), json!("amq.")]),
            ("broker.eventLog", vec![json!("amq.gen-1"), json!(""), json!("я".repeat(128))]),
            ("appId", vec![json!(""), json!("я".repeat(128))]),
            ("requiredQueues", vec![json!([""]), json!(["stock", "я".repeat(128)])]),
        ] {
            for value in values {
                let problem = field(name, value.clone());
                assert!(
                    matches!(problem, Problem::Spec { field, .. } if field == name),
                    "{name} {value}: {problem}"
                );
                assert_eq!(problem.reason(), "InvalidSpec");
            }
        }
        let contradiction =
            object(|spec| spec["retry"] = json!({ "firstPause": "2m", "longestPause": "1m" }));
        assert_eq!(problem(&contradiction).to_string(), "spec.retry: firstPause is at most longestPause");
    }

    #[test]
    fn a_spec_that_breaks_a_rule_is_named_before_a_secret_that_is_missing() {
        let wrong = object(|spec| spec["batchSize"] = json!(1));
        let absent = References { object: &wrong, database: &Seen::Absent, broker: &Seen::Absent };
        let problem = validate(absent).err().unwrap();
        assert_eq!(problem.to_string(), "spec.batchSize: from 2 to 2000");
    }
}
