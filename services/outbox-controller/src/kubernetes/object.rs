//! An `OutboxPublisher` as the watch delivers it.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::OwnerReference, jiff::Timestamp,
};
use kube::{
    Resource as _,
    core::{DeserializeGuard, ObjectMeta, error_boundary::InvalidObject},
};

use crate::object::{OutboxPublisher, REDRIVE};

/// An object as it was last seen; one that cannot be read has its metadata alone.
#[derive(Clone, Debug)]
pub(super) struct Object(pub(super) Result<Arc<OutboxPublisher>, Arc<InvalidObject>>);

impl From<DeserializeGuard<OutboxPublisher>> for Object {
    fn from(DeserializeGuard(object): DeserializeGuard<OutboxPublisher>) -> Self {
        Self(object.map(Arc::new).map_err(Arc::new))
    }
}

impl Object {
    pub(super) fn metadata(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => &object.metadata,
            Err(invalid) => &invalid.metadata,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    pub(super) fn uid(&self) -> Option<&str> {
        self.metadata().uid.as_deref()
    }

    /// When it was created, by the API server's clock.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.metadata().creation_timestamp.as_ref().map(|time| time.0)
    }

    /// The nonce of the redrive that its annotation asks for.
    pub(super) fn redrive(&self) -> Option<&str> {
        let nonce = self.metadata().annotations.as_ref()?.get(REDRIVE)?;
        (!nonce.is_empty()).then_some(nonce)
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// As the owner of the Lease that goes with it.
    pub(super) fn as_owner(&self) -> Option<OwnerReference> {
        Some(OwnerReference {
            api_version: OutboxPublisher::api_version(&()).into_owned(),
            kind: OutboxPublisher::kind(&()).into_owned(),
            name: self.metadata().name.clone()?,
            uid: self.metadata().uid.clone()?,
            controller: Some(true),
            block_owner_deletion: None,
        })
    }

    /// As the subject of an Event.
    pub(super) fn as_subject(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(OutboxPublisher::api_version(&()).into_owned()),
            kind: Some(OutboxPublisher::kind(&()).into_owned()),
            name: self.metadata().name.clone(),
            namespace: self.metadata().namespace.clone(),
            uid: self.metadata().uid.clone(),
            ..ObjectReference::default()
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kubernetes::validate::tests::object;

    /// The object with the least in it, as a watch delivers it.
    pub(in crate::kubernetes) fn an_object() -> Object {
        Object::from(DeserializeGuard(Ok(object(|_| {}))))
    }
}
