//! The Lease as the API server stores it, and as the core sees it.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference},
    jiff::Timestamp,
};
use kube::{Api, api::PostParams};

use super::core::{Answer, Found, Record, Request, Write};

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "outbox-controller");

/// The record in a Lease.
pub(super) fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let micros = |time: Option<MicroTime>| time.map(|time| time.0.as_microsecond());
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        seconds: spec.lease_duration_seconds,
        transitions: spec.lease_transitions.unwrap_or_default(),
        acquired: micros(spec.acquire_time),
        renewed: micros(spec.renew_time),
    }
}

/// One Lease at the API server.
pub(super) struct Remote {
    pub(super) api: Api<Lease>,
    pub(super) name: String,
    pub(super) owner: Option<OwnerReference>,
    /// As it was last read or written, so that what others have added to it is kept.
    latest: Option<Lease>,
}

impl Remote {
    pub(super) fn new(api: Api<Lease>, name: String, owner: Option<OwnerReference>) -> Self {
        Self { api, name, owner, latest: None }
    }

    /// Sends the request; also returns why it failed.
    pub(super) async fn ask(&mut self, request: Request) -> (Answer, Option<kube::Error>) {
        let answer = match request {
            // Without a resourceVersion: as it is, not as a cache has it.
            Request::Look => self.api.get_opt(&self.name).await,
            Request::Write(write) => {
                let lease = self.written(&write, Timestamp::now());
                let params = PostParams::default();
                match &write.over {
                    Some(_) => self.api.replace(&self.name, &params, &lease).await.map(Some),
                    None => self.api.create(&params, &lease).await.map(Some),
                }
            }
        };
        match answer {
            Ok(Some(lease)) => {
                let version = lease.metadata.resource_version.clone().unwrap_or_default();
                let found = Found { version, record: record(&lease) };
                self.latest = Some(lease);
                (Answer::Found(found), None)
            }
            Ok(None) => (Answer::Missing, None),
            Err(kube::Error::Api(status)) if status.code == 409 => (Answer::Conflict, None),
            // Creating one in a namespace that is gone gives the same answer; looking again costs little.
            Err(kube::Error::Api(status)) if status.code == 404 => (Answer::Missing, None),
            Err(error) => (Answer::Failed, Some(error)),
        }
    }

    /// The Lease to send. Its times are for people: to other candidates they only show that something has changed.
    fn written(&self, write: &Write, now: Timestamp) -> Lease {
        let base = self.latest.clone().filter(|_| write.over.is_some());
        let mut lease = base.unwrap_or_default();
        lease.metadata.name = Some(self.name.clone());
        lease.metadata.resource_version.clone_from(&write.over);
        let (label, value) = MANAGED_BY;
        lease.metadata.labels.get_or_insert_default().insert(label.to_owned(), value.to_owned());
        if let Some(owner) = &self.owner {
            // A Lease has one owner. With the owner of a deleted object of the same name, it would be deleted too.
            lease.metadata.owner_references = Some(vec![owner.clone()]);
        }
        let old = lease.spec.take().unwrap_or_default();
        let now = Some(MicroTime(now));
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(write.holder.clone()),
            lease_duration_seconds: Some(write.seconds),
            lease_transitions: Some(write.transitions),
            acquire_time: old.acquire_time.clone().filter(|_| write.keep_acquired).or_else(|| now.clone()),
            renew_time: now,
            ..old
        });
        lease
    }
}
