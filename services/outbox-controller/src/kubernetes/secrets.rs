//! A Secret, followed: what is in it now, and whether that has changed. Each is watched by its name alone, which a Role can allow
//! without allowing all others.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream::BoxStream};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};

/// What was last seen of a Secret.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// Not looked at yet.
    Nothing,
    /// There is none.
    Absent,
    /// The controller may not look.
    Forbidden,
    Secret(BTreeMap<String, ByteString>),
}

/// A Secret that an object refers to.
pub(super) struct Followed {
    pub(super) name: String,
    pub(super) seen: Seen,
    /// What a list in progress has shown so far.
    listed: Seen,
    events: BoxStream<'static, watcher::Result<watcher::Event<Secret>>>,
}

impl Followed {
    pub(super) fn new(secrets: Api<Secret>, name: String) -> Self {
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watcher(secrets, only).default_backoff().boxed();
        Self { name, seen: Seen::Nothing, listed: Seen::Absent, events }
    }

    /// Waits until what is seen has changed. May be cancelled.
    pub(super) async fn changed(&mut self) {
        while let Some(event) = self.events.next().await {
            let now = match event {
                Ok(watcher::Event::Init) => {
                    self.listed = Seen::Absent;
                    continue;
                }
                Ok(watcher::Event::InitApply(secret)) => {
                    self.listed = Seen::Secret(secret.data.unwrap_or_default());
                    continue;
                }
                Ok(watcher::Event::InitDone) => std::mem::replace(&mut self.listed, Seen::Absent),
                Ok(watcher::Event::Apply(secret)) => Seen::Secret(secret.data.unwrap_or_default()),
                Ok(watcher::Event::Delete(_)) => Seen::Absent,
                Err(error) if is_forbidden(&error) => Seen::Forbidden,
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
        // A watcher's stream has no end.
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
