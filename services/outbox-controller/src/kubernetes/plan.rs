//! From a valid object to what a publisher is made of. No I/O.

use std::{fmt, time::Duration};

use shop_messaging::{Broker, EventLog, PublisherOptions};
use shop_outbox::{Options, RetryPolicy};
use shop_runtime::config::{DatabaseUrl, redacted};

use super::{
    problem::Problem,
    validate::{BROKER, DATABASE, Valid},
};
use crate::{object::OutboxPublisherSpec, outbox};

/// Everything that a publisher is made of. If two plans are equal, nothing needs to change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) database: DatabaseUrl,
    pub(super) schema: String,
    pub(super) broker: BrokerUrl,
    pub(super) paused: bool,
    exchange: String,
    event_log: Option<String>,
    required_queues: Vec<String>,
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

/// Makes the plan.
///
/// # Errors
/// A Secret holds no address that can be used.
pub(super) fn build(valid: Valid<'_>) -> Result<Plan, Problem> {
    let Valid { object, numbers, durations, database, broker } = valid;
    let spec = &object.spec;
    Ok(Plan {
        database: database_url(spec, database)?,
        schema: spec.database.schema.clone(),
        broker: broker_url(spec, broker)?,
        paused: spec.paused,
        exchange: spec.broker.exchange.clone(),
        event_log: spec.broker.event_log.clone(),
        required_queues: spec.required_queues.clone(),
        app_id: spec.app_id.clone().or_else(|| object.metadata.name.clone()).unwrap_or_default(),
        batch_size: numbers.batch_size,
        poll_interval: durations.poll_interval,
        publish_deadline: durations.publish_deadline,
        retention: (!durations.retention.is_zero()).then_some(durations.retention),
        retry: RetryPolicy {
            max_attempts: numbers.max_attempts,
            first: durations.first_pause,
            longest: durations.longest_pause,
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
            required_queues: self.required_queues.clone(),
            fence: Some(outbox::fence(&self.exchange, &self.database, &self.schema)),
            heartbeat: Some(outbox::heartbeat(lease)),
            ..PublisherOptions::new(self.exchange.clone(), name)
        }
    }

    /// The broker; its address was tried when the plan was made.
    pub(super) fn broker(&self) -> anyhow::Result<Broker> {
        Ok(Broker::open(&self.broker.0, None)?)
    }
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

    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;
    use crate::{
        kubernetes::{
            secrets::{References, Seen},
            validate::{tests::object, validate},
        },
        object::OutboxPublisher,
    };

    fn secret(key: &str, value: &[u8]) -> Seen {
        Seen::Secret(BTreeMap::from([(key.to_owned(), ByteString(value.to_vec()))]))
    }

    fn planned(object: &OutboxPublisher, database: &Seen, broker: &Seen) -> Result<Plan, Problem> {
        validate(References { object, database, broker }).and_then(build)
    }

    fn database() -> Seen {
        secret("uri", b"postgresql://shop:s3cret@db/shop\n")
    }

    fn broker() -> Seen {
        secret("connection_string", b"amqp://shop:s3cret@rabbitmq//")
    }

    /// A plan that somebody made, for the tests of what is reported about it.
    pub(in crate::kubernetes) fn a_plan(paused: bool) -> Plan {
        let object = object(|spec| spec["paused"] = json!(paused));
        planned(&object, &database(), &broker()).unwrap()
    }

    /// The same for another `app_id`.
    pub(in crate::kubernetes) fn planned_as(app_id: &str) -> Plan {
        let object = object(|spec| spec["appId"] = json!(app_id));
        planned(&object, &database(), &broker()).unwrap()
    }

    #[test]
    fn an_object_with_the_least_in_it_has_the_documented_defaults() {
        let plan = planned(&object(|_| {}), &database(), &broker()).unwrap();
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
        let elsewhere = planned(&object(|_| {}), &elsewhere, &broker()).unwrap();
        let elsewhere = elsewhere.transport("one".to_owned(), Duration::from_secs(15));
        assert_ne!(elsewhere.fence.unwrap(), fence, "outboxes on two servers do not exclude each other");
        assert!(!format!("{plan:?}").contains("s3cret"), "{plan:?}");
    }

    #[test]
    fn zero_retention_keeps_for_ever() {
        let object = object(|spec| spec["retention"] = json!("0s"));
        assert_eq!(planned(&object, &database(), &broker()).unwrap().retention, None);
    }

    #[test]
    fn what_is_wrong_is_named_without_a_secret() {
        let reason = |database: Seen, broker: Seen| {
            let problem = planned(&object(|_| {}), &database, &broker).unwrap_err();
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
}
