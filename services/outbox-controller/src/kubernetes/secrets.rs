//! The Secrets that an object names: their content, and whether it has changed. Each is watched by name, which a
//! Role can allow without allowing all others.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream::BoxStream};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, runtime::watcher};

use super::{object::Object, problem::Problem};
use crate::{following, object::OutboxPublisher};

/// What was last seen of a Secret.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// There is none.
    Absent,
    /// The controller has no right to read it.
    Forbidden,
    /// The API server has never answered, and why.
    Unknown(String),
    Secret(BTreeMap<String, ByteString>),
}

/// An object, and the content of its Secrets.
#[derive(Clone, Copy)]
pub(super) struct References<'a> {
    pub(super) object: &'a OutboxPublisher,
    pub(super) database: &'a Seen,
    pub(super) broker: &'a Seen,
}

/// An object's Secrets, followed.
pub(super) struct Secrets {
    api: Api<Secret>,
    database: Option<Followed>,
    broker: Option<Followed>,
}

impl Secrets {
    pub(super) fn new(api: Api<Secret>) -> Self {
        Self { api, database: None, broker: None }
    }

    /// Follows the Secrets that `object` names, and returns what they hold; `None` while one has not been looked up yet.
    pub(super) fn dereference<'a>(
        &'a mut self,
        object: &'a Object,
    ) -> Option<Result<References<'a>, Problem>> {
        let object = match &object.0 {
            Ok(object) => object,
            Err(invalid) => return Some(Err(Problem::Unreadable(invalid.error.clone()))),
        };
        follow(&self.api, &mut self.database, &object.spec.database.secret_ref.name);
        follow(&self.api, &mut self.broker, &object.spec.broker.secret_ref.name);
        let (database, broker) = (seen(self.database.as_ref())?, seen(self.broker.as_ref())?);
        Some(Ok(References { object, database, broker }))
    }

    /// Waits until one has changed. May be cancelled.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            () = changed(&mut self.database) => {}
            () = changed(&mut self.broker) => {}
        }
    }
}

fn follow(secrets: &Api<Secret>, followed: &mut Option<Followed>, name: &str) {
    if followed.as_ref().is_none_or(|followed| followed.name != name) {
        *followed = Some(Followed::new(secrets.clone(), name.to_owned()));
    }
}

fn seen(followed: Option<&Followed>) -> Option<&Seen> {
    followed?.seen.as_ref()
}

async fn changed(followed: &mut Option<Followed>) {
    match followed {
        Some(followed) => followed.changed().await,
        None => std::future::pending().await,
    }
}

/// One Secret, followed.
struct Followed {
    name: String,
    /// `None` until it has been looked up.
    seen: Option<Seen>,
    changes: BoxStream<'static, watcher::Result<Option<Secret>>>,
}

impl Followed {
    fn new(secrets: Api<Secret>, name: String) -> Self {
        let changes = following::one(secrets, &name).boxed();
        Self { name, seen: None, changes }
    }

    /// Waits until what is seen has changed. May be cancelled.
    async fn changed(&mut self) {
        while let Some(change) = self.changes.next().await {
            let now = match change {
                Ok(Some(secret)) => Seen::Secret(secret.data.unwrap_or_default()),
                Ok(None) => Seen::Absent,
                Err(error) if is_forbidden(&error) => Seen::Forbidden,
                Err(error) if matches!(self.seen, None | Some(Seen::Unknown(_))) => {
                    Seen::Unknown(error.to_string())
                }
                // What was seen is still the best that is known.
                Err(error) => {
                    tracing::debug!(secret = self.name, error = %error, "the Secret is not watched for now");
                    continue;
                }
            };
            let now = Some(now);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
        // A watch has no end.
        std::future::pending::<()>().await;
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code,
        watcher::Error::WatchError(status) => status.code,
        _ => return false,
    };
    code == 403
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{context::tests::nowhere, object::tests::an_object};

    #[tokio::test]
    async fn nothing_is_known_of_a_secret_until_it_has_been_looked_up() {
        let mut secrets = Secrets::new(Api::namespaced(nowhere().client, "orders"));
        let object = an_object();
        assert!(secrets.dereference(&object).is_none());
        while secrets.dereference(&object).is_none() {
            secrets.changed().await;
        }
        let References { database, broker, .. } = secrets.dereference(&object).unwrap().ok().unwrap();
        assert!(matches!((database, broker), (Seen::Unknown(_), Seen::Unknown(_))));
    }
}
