//! The status of one object: its content, and how it is read and written.

use std::time::Duration;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    core::DeserializeGuard,
};

use super::{
    assessment::{Assessment, age, nobody_leads},
    memory::Memory,
};
use crate::object::{LastError, OutboxPublisher, OutboxPublisherStatus};

/// How long a request to the API server may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A status, and the `resourceVersion` of the object that it is in.
pub(super) type Versioned = (OutboxPublisherStatus, Option<String>);

/// The status of one object, at the API server.
pub(super) struct Status {
    api: Api<DeserializeGuard<OutboxPublisher>>,
    name: String,
    manager: &'static str,
}

impl Status {
    /// Of the object `name`, written as `manager`.
    pub(super) fn new(client: Client, namespace: &str, name: String, manager: &'static str) -> Self {
        Self { api: Api::namespaced(client, namespace), name, manager }
    }

    /// Reads it.
    ///
    /// # Errors
    /// The API server refuses, or does not answer.
    pub(super) async fn read(&self) -> anyhow::Result<Versioned> {
        Ok(content(tokio::time::timeout(PATIENCE, self.api.get(&self.name)).await??))
    }

    /// Writes it, and returns the object's new version. By server-side apply: the whole status is the controller's. `version` keeps a
    /// late write, of a replica that is no longer the leader, from replacing what came after it, and from reaching a new object of
    /// the same name.
    ///
    /// # Errors
    /// The API server refuses, or does not answer.
    pub(super) async fn write(
        &self,
        status: &OutboxPublisherStatus,
        version: Option<&str>,
    ) -> anyhow::Result<Option<String>> {
        let patch = serde_json::json!({
            "apiVersion": "outbox.shop.dev/v1alpha1",
            "kind": "OutboxPublisher",
            "metadata": { "name": self.name, "resourceVersion": version },
            "status": status,
        });
        let (params, patch) = (PatchParams::apply(self.manager).force(), Patch::Apply(patch));
        let written = self.api.patch_status(&self.name, &params, &patch);
        let (_, version) = content(tokio::time::timeout(PATIENCE, written).await??);
        Ok(version)
    }
}

fn content(DeserializeGuard(object): DeserializeGuard<OutboxPublisher>) -> Versioned {
    match object {
        Ok(object) => (object.status.unwrap_or_default(), object.metadata.resource_version),
        Err(invalid) => (OutboxPublisherStatus::default(), invalid.metadata.resource_version),
    }
}

/// What a status is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) leader: &'a str,
    pub(super) memory: &'a Memory,
    /// Published since the object was created.
    pub(super) published: i64,
    /// The assessment of the generation; none while a problem is not yet worth reporting.
    pub(super) reported: Option<(&'a Assessment, Option<i64>)>,
    pub(super) now: Timestamp,
}

/// The status as it should be.
pub(super) fn compose(parts: Parts<'_>) -> OutboxPublisherStatus {
    let Parts { leader, memory, published, reported, now } = parts;
    let (before, now) = (&memory.written, Time(now));
    let stats = memory.stats();
    let mut status = OutboxPublisherStatus {
        leader: Some(leader.to_owned()),
        epoch: if memory.progress.epoch > 0 { Some(memory.progress.epoch) } else { before.epoch },
        pending: stats.map(|stats| stats.pending).or(before.pending),
        dead: stats.map(|stats| stats.dead).or(before.dead),
        oldest_pending_age: stats
            .map(|stats| age(stats.oldest_pending_seconds))
            .or_else(|| before.oldest_pending_age.clone()),
        published: Some(published),
        redrive: memory.redriven.clone().or_else(|| before.redrive.clone()),
        ..before.clone()
    };
    if let Some((assessment, generation)) = reported {
        status.observed_generation = generation;
        status.conditions = assessment.conditions(&before.conditions, generation, &now);
        status.last_error = last_error(assessment, before.last_error.as_ref(), now);
    }
    status
}

/// The status that a leader leaves behind when it stops.
pub(super) fn last_word(
    before: &OutboxPublisherStatus,
    published: i64,
    now: Timestamp,
) -> OutboxPublisherStatus {
    OutboxPublisherStatus {
        leader: None,
        published: Some(published),
        conditions: nobody_leads(&before.conditions, &Time(now)),
        ..before.clone()
    }
}

fn last_error(assessment: &Assessment, before: Option<&LastError>, now: Time) -> Option<LastError> {
    if assessment.ready.holds || assessment.is_starting() {
        return before.cloned();
    }
    let message = assessment.ready.message.clone();
    Some(match before {
        Some(before) if before.message == message => before.clone(),
        _ => LastError { message, time: now },
    })
}
