//! The Kubernetes object that describes a publisher: `OutboxPublisher`, of `outbox.shop.dev/v1alpha1`.
//!
//! The defaults and limits are those of [`Options`]. The API server applies them; one that knows no CEL leaves the rules to
//! the controller, which checks them all again.
#![expect(unreachable_pub, reason = "kube's derive puts public helpers into functions")]

mod status;

use std::time::Duration;

use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shop_outbox::{Bounds, Options};

pub use self::status::{LastError, OutboxPublisherStatus, RedriveStatus};
use crate::duration;

/// Go's durations, without a sign: `1h30m`, `1.5s`. They are kept as they are written, so that an invalid one is reported with its field.
const DURATION: &str = r"^([0-9]{1,12}(\.[0-9]{1,9})?(ms|s|m|h))+$";
/// Those that CEL's `duration()` can hold: 292 years, as often as they fit into the longest text.
const HELD: &str = "^([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?s|[0-9]{1,12}([.][0-9]{1,9})?ms)+$";

/// The names of Secrets (RFC 1123), and of the keys in them.
const SECRET: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
const KEY: &str = "^[-._a-zA-Z0-9]+$";

/// The annotation that redrives dead messages: its value is a nonce, which the status repeats once that is done.
pub const REDRIVE: &str = "outbox.shop.dev/redrive";

/// A transactional outbox, and the broker to which its events are published: by one leader at a time, in order for each aggregate,
/// without losing any.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "outbox.shop.dev",
    version = "v1alpha1",
    kind = "OutboxPublisher",
    namespaced,
    status = "OutboxPublisherStatus",
    derive = "PartialEq",
    shortname = "obp",
    category = "all",
    category = "shop",
    doc = "A transactional outbox, and the broker to which its events are published: by one leader at a time, in order for each \
           aggregate, without losing any.",
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name is at most 63 characters long"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether it does what its spec says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "What it does, or what keeps it from publishing"
    ),
    printcolumn(
        name = "Leader",
        type_ = "string",
        json_path = ".status.leader",
        description = "Which replica publishes"
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.pending",
        description = "Messages that wait to be published"
    ),
    printcolumn(
        name = "Dead",
        type_ = "integer",
        json_path = ".status.dead",
        description = "Messages that were given up"
    ),
    printcolumn(
        name = "Lag",
        type_ = "string",
        json_path = ".status.oldestPendingAge",
        description = "How long the oldest message has waited"
    ),
    printcolumn(
        name = "Published",
        type_ = "integer",
        json_path = ".status.published",
        description = "Messages published in total",
        priority = 1
    ),
    printcolumn(
        name = "Epoch",
        type_ = "integer",
        json_path = ".status.epoch",
        description = "How often the leader has changed",
        priority = 1
    ),
    printcolumn(
        name = "Exchange",
        type_ = "string",
        json_path = ".spec.broker.exchange",
        description = "Where it publishes to",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct OutboxPublisherSpec {
    /// Where the outbox is.
    pub database: DatabaseSpec,
    /// Where its messages go.
    pub broker: BrokerSpec,
    /// Queues that must exist at the broker before anything is published: those of the consumers that must miss no event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = each_short())]
    pub required_queues: Vec<String>,
    /// The AMQP `app_id` of every message: who publishes. By default the name of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = short())]
    pub app_id: Option<String>,
    /// Messages that may be unconfirmed or unmarked at once: the most that a crash can duplicate. 2 to 2000.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = Options::BATCH_SIZE.min, max = Options::BATCH_SIZE.max))]
    pub batch_size: i32,
    /// How often an idle publisher polls; a commit wakes it at once. 5ms to 1m.
    #[serde(default = "default_poll_interval")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = default_poll_interval()))]
    #[x_kube(validation = within(Options::POLL_INTERVAL))]
    pub poll_interval: String,
    /// How long the broker may take to confirm a window, which is half a batch. 1s to 1m.
    #[serde(default = "default_publish_deadline")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = default_publish_deadline()))]
    #[x_kube(validation = within(Options::PUBLISH_DEADLINE))]
    pub publish_deadline: String,
    /// How long sent messages are kept in the outbox; forever if 0s. 0s to 87600h.
    #[serde(default = "default_retention")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = default_retention()))]
    #[x_kube(validation = within(Options::RETENTION))]
    pub retention: String,
    /// What happens to a message that the broker refuses.
    #[serde(default)]
    pub retry: RetrySpec,
    /// Publishes nothing while true. Messages in flight are finished, and the leader keeps its Lease.
    #[serde(default)]
    pub paused: bool,
}

/// A PostgreSQL database with an outbox in it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSpec {
    /// The Secret that holds the database's URL: `postgresql://user:password@host:5432/database`.
    pub secret_ref: DatabaseSecretRef,
    /// The schema of the outbox's tables.
    #[serde(default = "default_schema")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_$-]*$"))]
    pub schema: String,
}

/// A RabbitMQ, and the exchange to publish to.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerSpec {
    /// The Secret that holds the broker's URL: `amqp://user:password@host:5672/vhost`, or `amqps://…`.
    pub secret_ref: BrokerSecretRef,
    /// The topic exchange to publish to. It is declared as durable.
    #[serde(default = "default_exchange")]
    #[schemars(length(min = 1, max = 127), regex(pattern = "^[A-Za-z0-9_.:-]+$"))]
    #[x_kube(validation = not_reserved())]
    pub exchange: String,
    /// A queue that keeps the latest 10,000 events; it is declared and bound to the exchange. Without it, an event that no
    /// queue accepts becomes dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = not_reserved(), validation = short())]
    pub event_log: Option<String>,
}

/// A key of a Secret in the object's namespace, with a database's URL.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET))]
    pub name: String,
    /// The key in it. CloudNativePG's Secrets have the default.
    #[serde(default = "default_database_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY))]
    pub key: String,
}

/// A key of a Secret in the object's namespace, with a broker's URL.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerSecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET))]
    pub name: String,
    /// The key in it. The RabbitMQ Cluster Operator's Secrets have the default.
    #[serde(default = "default_broker_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY))]
    pub key: String,
}

/// What happens to a message that the broker refuses: it is retried with growing pauses, and then dead.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = pauses_in_order())]
pub struct RetrySpec {
    /// How often it is tried before it is dead. 1 to 100.
    #[serde(default = "default_max_attempts")]
    #[schemars(range(min = Options::MAX_ATTEMPTS.min, max = Options::MAX_ATTEMPTS.max))]
    pub max_attempts: i32,
    /// The pause after the first attempt; each further pause is twice as long. 10ms to 24h.
    #[serde(default = "default_first_pause")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = default_first_pause()))]
    #[x_kube(validation = within(Options::FIRST_PAUSE))]
    pub first_pause: String,
    /// The longest pause between two attempts. 10ms to 24h.
    #[serde(default = "default_longest_pause")]
    #[schemars(length(max = 32), regex(pattern = DURATION), extend("default" = default_longest_pause()))]
    #[x_kube(validation = within(Options::LONGEST_PAUSE))]
    pub longest_pause: String,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            max_attempts: default_max_attempts(),
            first_pause: default_first_pause(),
            longest_pause: default_longest_pause(),
        }
    }
}

/// The description of a valid duration.
pub(crate) fn words(bounds: Bounds<Duration>) -> String {
    let (min, max) = (duration::write(bounds.min), duration::write(bounds.max));
    format!("a duration from {min} to {max}, written with h, m, s and ms: 1h30m, 250ms")
}

/// `duration()` fails for values that it cannot hold, with an error about types instead of limits.
fn within(bounds: Bounds<Duration>) -> Rule {
    let (min, max) = (duration::write(bounds.min), duration::write(bounds.max));
    Rule::new(format!(
        "self.matches('{HELD}') && duration(self) >= duration('{min}') && duration(self) <= duration('{max}')"
    ))
    .message(words(bounds).as_str())
}

pub(crate) const PAUSES_IN_ORDER: &str = "firstPause is at most longestPause";
pub(crate) const NOT_RESERVED: &str = "names that begin with amq. are the broker's own";
pub(crate) const SHORT: &str = "at most 255 bytes: letters beyond ASCII count more than once";

/// A duration that CEL cannot hold is refused by a separate rule.
fn pauses_in_order() -> Rule {
    Rule::new(format!(
        "!self.firstPause.matches('{HELD}') || !self.longestPause.matches('{HELD}') || \
         duration(self.firstPause) <= duration(self.longestPause)"
    ))
    .message(PAUSES_IN_ORDER)
}

/// The broker reserves these names.
fn not_reserved() -> Rule {
    Rule::new("!self.startsWith('amq.')").message(NOT_RESERVED)
}

/// AMQP limits short strings in bytes, a schema in characters.
fn short() -> Rule {
    Rule::new("size(bytes(self)) <= 255").message(SHORT)
}

/// The same for each text of a list.
fn each_short() -> Rule {
    Rule::new("self.all(text, size(bytes(text)) <= 255)").message(SHORT)
}

fn default_batch_size() -> i32 {
    Options::BATCH_SIZE.default as i32
}

fn default_poll_interval() -> String {
    duration::write(Options::POLL_INTERVAL.default)
}

fn default_publish_deadline() -> String {
    duration::write(Options::PUBLISH_DEADLINE.default)
}

fn default_retention() -> String {
    duration::write(Options::RETENTION.default)
}

fn default_max_attempts() -> i32 {
    Options::MAX_ATTEMPTS.default as i32
}

fn default_first_pause() -> String {
    duration::write(Options::FIRST_PAUSE.default)
}

fn default_longest_pause() -> String {
    duration::write(Options::LONGEST_PAUSE.default)
}

fn default_schema() -> String {
    "orders".to_owned()
}

fn default_exchange() -> String {
    shop_core::events::EXCHANGE.to_owned()
}

fn default_database_key() -> String {
    "uri".to_owned()
}

fn default_broker_key() -> String {
    "connection_string".to_owned()
}
