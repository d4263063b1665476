//! A Secret, followed: what is in it now, and whether that has changed. Each is watched by its name alone, which a Role can allow
//! without allowing all others.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream::BoxStream};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, runtime::watcher};

use crate::following;

/// What was last seen of a Secret.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// Not looked at yet.
    Nothing,
    /// There is none.
    Absent,
    /// The controller may not look.
    Forbidden,
    /// The API server would not tell; it never has.
    Unknown(String),
    Secret(BTreeMap<String, ByteString>),
}

/// A Secret that an object refers to.
pub(super) struct Followed {
    pub(super) name: String,
    pub(super) seen: Seen,
    changes: BoxStream<'static, watcher::Result<Option<Secret>>>,
}

impl Followed {
    pub(super) fn new(secrets: Api<Secret>, name: String) -> Self {
        let changes = following::one(secrets, &name).boxed();
        Self { name, seen: Seen::Nothing, changes }
    }

    /// Waits until what is seen has changed. May be cancelled.
    pub(super) async fn changed(&mut self) {
        while let Some(change) = self.changes.next().await {
            let now = match change {
                Ok(Some(secret)) => Seen::Secret(secret.data.unwrap_or_default()),
                Ok(None) => Seen::Absent,
                Err(error) if is_forbidden(&error) => Seen::Forbidden,
                Err(error) if matches!(self.seen, Seen::Nothing | Seen::Unknown(_)) => {
                    Seen::Unknown(error.to_string())
                }
                // What was seen is still the best that is known.
                Err(error) => {
                    tracing::debug!(secret = self.name, error = %error, "not watching, for now");
                    continue;
                }
            };
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
