//! From what an object says and refers to, to what a publisher is made of. No I/O.

use std::{fmt, time::Duration};

use k8s_openapi::ByteString;
use shop_messaging::{Broker, EventLog, PublisherOptions};
use shop_outbox::{Bounds, Options, RetryPolicy};
use shop_runtime::config::{DatabaseUrl, redacted};

use super::secrets::Seen;
use crate::{
    config::{SHORT, is_reserved},
    duration, fence,
    object::{self, OutboxPublisher, OutboxPublisherSpec},
};

/// All that a publisher is made of. Two that are equal need no change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) database: DatabaseUrl,
    pub(super) schema: String,
    pub(super) broker: BrokerUrl,
    pub(super) paused: bool,
    exchange: String,
    event_log: Option<String>,
    app_id: String,
    batch_size: usize,
    poll_interval: Duration,
    publish_deadline: Duration,
    retention: Option<Duration>,
    retry: RetryPolicy,
}

/// A broker's address, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct BrokerUrl(String);

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

/// Why there is no plan: what to fix, in words for who wrote the object. Never a Secret's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("spec.{field}: {rule}")]
    Spec { field: &'static str, rule: String },
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    #[error("{field}: there is no Secret {secret:?} in this namespace; create it")]
    NoSecret { field: &'static str, secret: String },
    #[error(
        "{field}: the controller may not read the Secret {secret:?}; add it to the Role of the controller"
    )]
    Forbidden { field: &'static str, secret: String },
    #[error("{field}: the Secret {secret:?} cannot be looked up: {why}")]
    Unknown { field: &'static str, secret: String, why: String },
    #[error(
        "{field}: the Secret {secret:?} has no key {key:?}, it has {has}; add it or name another in {field}.key"
    )]
    NoKey { field: &'static str, secret: String, key: String, has: String },
    #[error("{field}: the key {key:?} of the Secret {secret:?} holds no usable address: {why}")]
    Address { field: &'static str, secret: String, key: String, why: String },
}

impl Problem {
    /// Whether it may be over in a moment, and is no reason to stop a publisher that is at work: a Secret that is made anew is
    /// away for a while.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NoSecret { .. } | Self::Forbidden { .. } | Self::Unknown { .. })
    }

    /// The reason of the condition and of the Event.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } | Self::Unreadable(_) => "InvalidSpec",
            Self::NoSecret { .. } => "SecretNotFound",
            Self::Forbidden { .. } => "SecretForbidden",
            Self::Unknown { .. } => "SecretUnavailable",
            Self::NoKey { .. } => "SecretKeyNotFound",
            Self::Address { .. } => "InvalidAddress",
        }
    }
}

/// How many of a Secret's keys are named beside the one that is not there.
const NAMED_KEYS: usize = 10;

const DATABASE: &str = "spec.database.secretRef";
const BROKER: &str = "spec.broker.secretRef";

/// What the object's Secrets hold, as far as they were seen.
pub(super) struct References<'a> {
    pub(super) database: &'a Seen,
    pub(super) broker: &'a Seen,
}

/// Makes the plan; `None` while a Secret has not been looked at yet.
pub(super) fn plan(object: &OutboxPublisher, references: &References<'_>) -> Option<Result<Plan, Problem>> {
    if let Err(problem) = validate(&object.spec) {
        return Some(Err(problem));
    }
    let (database, broker) = (&object.spec.database.secret_ref, &object.spec.broker.secret_ref);
    let database = dereference(DATABASE, &database.name, &database.key, references.database)?;
    let broker = dereference(BROKER, &broker.name, &broker.key, references.broker)?;
    Some(database.and_then(|database| assemble(object, &database, &broker?)))
}

fn assemble(object: &OutboxPublisher, database: &str, broker: &str) -> Result<Plan, Problem> {
    let spec = &object.spec;
    // They were looked at before.
    let span = |text: &str| duration::read(text).unwrap_or_default();
    let retention = span(&spec.retention);
    Ok(Plan {
        database: database_url(spec, database)?,
        schema: spec.database.schema.clone(),
        broker: broker_url(spec, broker)?,
        paused: spec.paused,
        exchange: spec.broker.exchange.clone(),
        event_log: spec.broker.event_log.clone(),
        app_id: spec.app_id.clone().or_else(|| object.metadata.name.clone()).unwrap_or_default(),
        batch_size: usize::try_from(spec.batch_size).unwrap_or(2),
        poll_interval: span(&spec.poll_interval),
        publish_deadline: span(&spec.publish_deadline),
        retention: (!retention.is_zero()).then_some(retention),
        retry: RetryPolicy {
            max_attempts: u32::try_from(spec.retry.max_attempts).unwrap_or(1),
            first: span(&spec.retry.first_pause),
            longest: span(&spec.retry.longest_pause),
        },
    })
}

impl Plan {
    /// The library's options, for a publisher known as `holder` whose lease lasts for `lease`.
    pub(super) fn options(&self, holder: &str, lease: Duration) -> Options {
        let mut options = Options::new(holder, self.app_id.clone());
        options.batch_size = self.batch_size;
        options.poll_interval = self.poll_interval;
        options.publish_deadline = self.publish_deadline;
        options.lease = lease;
        options.retry = self.retry;
        options.retention = self.retention;
        options
    }

    /// The publisher's side of the broker, for one known there as `name`.
    pub(super) fn transport(&self, name: String, lease: Duration) -> PublisherOptions {
        PublisherOptions {
            event_log: self.event_log.as_ref().map(EventLog::new),
            fence: Some(fence(&self.exchange, &self.database, &self.schema)),
            heartbeat: Some(crate::heartbeat(lease)),
            ..PublisherOptions::new(self.exchange.clone(), name)
        }
    }

    /// The broker; its address was tried when the plan was made.
    pub(super) fn broker(&self) -> anyhow::Result<Broker> {
        Ok(Broker::open(&self.broker.0, None)?)
    }
}

/// The bounds of the object's definition and the rules between its fields, for an API server that has not checked them.
fn validate(spec: &OutboxPublisherSpec) -> Result<(), Problem> {
    let invalid = |field, rule: &str| Err(Problem::Spec { field, rule: rule.to_owned() });
    let Bounds { min, max, .. } = Options::BATCH_SIZE;
    if !usize::try_from(spec.batch_size).is_ok_and(|found| Options::BATCH_SIZE.contains(&found)) {
        return invalid("batchSize", &format!("from {min} to {max}"));
    }
    let Bounds { min, max, .. } = Options::MAX_ATTEMPTS;
    if !u32::try_from(spec.retry.max_attempts).is_ok_and(|found| Options::MAX_ATTEMPTS.contains(&found)) {
        return invalid("retry.maxAttempts", &format!("from {min} to {max}"));
    }
    for (field, text, bounds) in [
        ("pollInterval", &spec.poll_interval, Options::POLL_INTERVAL),
        ("publishDeadline", &spec.publish_deadline, Options::PUBLISH_DEADLINE),
        ("retention", &spec.retention, Options::RETENTION),
        ("retry.firstPause", &spec.retry.first_pause, Options::FIRST_PAUSE),
        ("retry.longestPause", &spec.retry.longest_pause, Options::LONGEST_PAUSE),
    ] {
        if !duration::read(text).is_some_and(|found| bounds.contains(&found)) {
            return invalid(field, &format!("{text:?} is not {}", object::words(bounds)));
        }
    }
    if duration::read(&spec.retry.first_pause) > duration::read(&spec.retry.longest_pause) {
        return invalid("retry", object::PAUSES_IN_ORDER);
    }
    let names = [
        ("broker.exchange", Some(&spec.broker.exchange)),
        ("broker.eventLog", spec.broker.event_log.as_ref()),
    ];
    if let Some((field, _)) = names.into_iter().find(|(_, name)| name.is_some_and(|name| is_reserved(name))) {
        return invalid(field, object::NOT_RESERVED);
    }
    let texts = [("appId", &spec.app_id), ("broker.eventLog", &spec.broker.event_log)];
    for (field, text) in texts.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?))) {
        if text.is_empty() {
            return invalid(field, "it is empty");
        }
        if text.len() > SHORT {
            return invalid(field, object::SHORT);
        }
    }
    Ok(())
}

/// The text under `key` of a Secret; `None` while it has not been looked at yet.
fn dereference(field: &'static str, secret: &str, key: &str, seen: &Seen) -> Option<Result<String, Problem>> {
    let (secret, key) = (secret.to_owned(), key.to_owned());
    Some(match seen {
        Seen::Nothing => return None,
        Seen::Forbidden => Err(Problem::Forbidden { field, secret }),
        Seen::Unknown(why) => Err(Problem::Unknown { field, secret, why: why.clone() }),
        Seen::Absent => Err(Problem::NoSecret { field, secret }),
        Seen::Secret(data) => match data.get(&key) {
            None => {
                let has: Vec<&str> = data.keys().map(String::as_str).take(NAMED_KEYS).collect();
                let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
                Err(Problem::NoKey { field, secret, key, has })
            }
            Some(ByteString(bytes)) => match std::str::from_utf8(bytes) {
                // Files that were made with an editor or `echo` end with a line break.
                Ok(text) => Ok(text.trim().to_owned()),
                Err(_) => Err(Problem::Address { field, secret, key, why: "it is not text".to_owned() }),
            },
        },
    })
}

fn database_url(spec: &OutboxPublisherSpec, text: &str) -> Result<DatabaseUrl, Problem> {
    let at = &spec.database.secret_ref;
    let address =
        |why: String| Problem::Address { field: DATABASE, secret: at.name.clone(), key: at.key.clone(), why };
    let url: DatabaseUrl = text.parse().map_err(|error| address(format!("{error}")))?;
    if url.is_sqlite() {
        return Err(address("an outbox that several replicas publish is in PostgreSQL".to_owned()));
    }
    Ok(url)
}

fn broker_url(spec: &OutboxPublisherSpec, text: &str) -> Result<BrokerUrl, Problem> {
    let at = &spec.broker.secret_ref;
    match Broker::open(text, None) {
        Ok(_) => Ok(BrokerUrl(text.to_owned())),
        Err(error) => Err(Problem::Address {
            field: BROKER,
            secret: at.name.clone(),
            key: at.key.clone(),
            why: error.to_string(),
        }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn object(change: impl FnOnce(&mut Value)) -> OutboxPublisher {
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

    fn secret(key: &str, value: &[u8]) -> Seen {
        Seen::Secret(BTreeMap::from([(key.to_owned(), ByteString(value.to_vec()))]))
    }

    fn planned(object: &OutboxPublisher, database: &Seen, broker: &Seen) -> Option<Result<Plan, Problem>> {
        plan(object, &References { database, broker })
    }

    fn database() -> Seen {
        secret("uri", b"postgresql://shop:s3cret@db/shop\n")
    }

    fn broker() -> Seen {
        secret("connection_string", b"amqp://shop:s3cret@rabbitmq//")
    }

    /// A plan that somebody made, for the tests of what is told of it.
    pub(in crate::kubernetes) fn a_plan(paused: bool) -> Plan {
        let object = object(|spec| spec["paused"] = json!(paused));
        planned(&object, &database(), &broker()).unwrap().unwrap()
    }

    #[test]
    fn an_object_with_the_least_in_it_has_the_documented_defaults() {
        let plan = planned(&object(|_| {}), &database(), &broker()).unwrap().unwrap();
        assert_eq!((plan.schema.as_str(), plan.exchange.as_str()), ("orders", "shop_events"));
        assert_eq!((plan.app_id.as_str(), plan.batch_size, plan.paused), ("orders", 400, false));
        assert_eq!(plan.poll_interval, Duration::from_millis(100));
        assert_eq!(plan.publish_deadline, Duration::from_secs(10));
        assert_eq!(plan.retention, Some(Duration::from_secs(7 * 24 * 3600)));
        assert_eq!(plan.retry, RetryPolicy::default());
        let transport = plan.transport("one".to_owned(), Duration::from_secs(15));
        let fence = transport.fence.unwrap();
        assert!(fence.starts_with("shop_events.orders.publisher."), "{fence}");
        let elsewhere = secret("uri", b"postgresql://shop:s3cret@db2/shop");
        let elsewhere = planned(&object(|_| {}), &elsewhere, &broker()).unwrap().unwrap();
        let elsewhere = elsewhere.transport("one".to_owned(), Duration::from_secs(15));
        assert_ne!(elsewhere.fence.unwrap(), fence, "outboxes of two servers exclude nobody");
        assert!(!format!("{plan:?}").contains("s3cret"), "{plan:?}");
    }

    #[test]
    fn there_is_no_plan_and_no_problem_while_a_secret_was_not_looked_at() {
        assert_eq!(planned(&object(|_| {}), &Seen::Nothing, &broker()), None);
        assert_eq!(planned(&object(|_| {}), &database(), &Seen::Nothing), None);
    }

    #[test]
    fn zero_retention_keeps_for_ever() {
        let object = object(|spec| spec["retention"] = json!("0s"));
        assert_eq!(planned(&object, &database(), &broker()).unwrap().unwrap().retention, None);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_told() {
        let reason = |database: Seen, broker: Seen| {
            let problem = planned(&object(|_| {}), &database, &broker).unwrap().unwrap_err();
            assert!(!problem.to_string().contains("s3cret"), "{problem}");
            problem.reason()
        };
        assert_eq!(reason(Seen::Absent, broker()), "SecretNotFound");
        assert_eq!(reason(Seen::Forbidden, broker()), "SecretForbidden");
        assert_eq!(reason(Seen::Unknown("400".to_owned()), broker()), "SecretUnavailable");
        assert_eq!(reason(secret("url", b"s3cret"), broker()), "SecretKeyNotFound");
        assert_eq!(reason(secret("uri", b"\xff\xfe"), broker()), "InvalidAddress");
        assert_eq!(reason(secret("uri", b"mysql://root:s3cret@db"), broker()), "InvalidAddress");
        assert_eq!(reason(secret("uri", b"sqlite:s3cret.db"), broker()), "InvalidAddress");
        assert_eq!(
            reason(database(), secret("connection_string", b"http://shop:s3cret@rabbitmq")),
            "InvalidAddress"
        );
        assert_eq!(reason(database(), secret("connection_string", b"memory:")), "InvalidAddress");
    }

    #[test]
    fn the_rules_of_the_definition_hold_without_an_api_server_too() {
        let field = |name: &str, value: Value| {
            let object = object(|spec| match name.split_once('.') {
                Some((outer, inner)) => spec[outer][inner] = value,
                None => spec[name] = value,
            });
            planned(&object, &database(), &broker()).unwrap().unwrap_err()
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
        let problem = planned(&contradiction, &database(), &broker()).unwrap().unwrap_err();
        assert_eq!(problem.to_string(), "spec.retry: firstPause is at most longestPause");
    }
}
