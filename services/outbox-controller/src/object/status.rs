//! The status of an `OutboxPublisher`: what its leader reports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state that the leader last observed. Written when a condition changes, and every few seconds while numbers change.
///
/// Until a leader has reported, `observedGeneration` is -1, so that an object without a status does not pass for an up-to-date one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = { "observedGeneration": -1 }))]
pub struct OutboxPublisherStatus {
    /// The `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: it does what its spec says. `Publishing`: messages are published. `Degraded`: it publishes, but needs attention.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The replica that holds the Lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The fencing epoch in the outbox's database: it rises with each change of leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// The number of pending messages, counted up to 100,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<i64>,
    /// The number of dead messages, which hold back later messages of their aggregates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<i64>,
    /// How long the oldest pending message has been waiting: `0s`, `4s`, `2m`, `3h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending_age: Option<String>,
    /// The number of messages published since the object was created, without those of a crashed leader's last seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<i64>,
    /// The latest error; it is kept after recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// The last redrive of dead messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive: Option<RedriveStatus>,
}

/// Something that went wrong.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// The error message.
    pub message: String,
    /// When it first occurred.
    pub time: Time,
}

/// The result of the annotation `outbox.shop.dev/redrive`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveStatus {
    /// The annotation's value.
    pub nonce: String,
    /// The number of redriven messages.
    pub count: i64,
    /// When it was done.
    pub time: Time,
}
