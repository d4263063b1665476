//! Watches with back-off. kube's own back-off is reset whenever a list is retried, so a list that is always refused would be
//! retried twice a second forever.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures_util::{Stream, StreamExt as _, stream};
use kube::{
    Api, Resource,
    runtime::watcher::{self, Config, Event, watcher},
};
use serde::de::DeserializeOwned;

/// How long the API server keeps a watch open. Less than what the client waits for a sign of life, so that a connection that died
/// in silence is noticed.
const OPEN: u32 = 60;
/// The pauses after failures: they double, and the jitter adds up to as much again, so the longest is 20 seconds.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(10))
    .with_jitter()
    .without_max_times();

/// All objects that `config` selects; never ends.
pub(crate) fn all<K>(
    api: Api<K>,
    config: Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: Resource<DynamicType: Default + Clone + Send + 'static>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let events = watcher(api, config.timeout(OPEN)).boxed();
    stream::unfold((events, PAUSES.build(), false), |(mut events, mut pauses, failed)| async move {
        // Only after a failure, not between the parts of a list.
        if failed && let Some(pause) = pauses.next() {
            tokio::time::sleep(pause).await;
        }
        let event = events.next().await?;
        // The beginning of a list does not yet mean success.
        if !matches!(event, Err(_) | Ok(Event::Init | Event::InitApply(_))) {
            pauses = PAUSES.build();
        }
        let failed = event.is_err();
        Some((event, (events, pauses, failed)))
    })
}

/// The one object of this name, as often as it changes: `None` while there is none.
pub(crate) fn one<K>(
    api: Api<K>,
    name: &str,
) -> impl Stream<Item = watcher::Result<Option<K>>> + Send + use<K>
where
    K: Resource<DynamicType: Default + Clone + Send + 'static>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let mut listed = None;
    all(api, Config::default().fields(&format!("metadata.name={name}"))).filter_map(move |event| {
        let seen = match event {
            Ok(Event::Init) => {
                listed = None;
                None
            }
            Ok(Event::InitApply(object)) => {
                listed = Some(object);
                None
            }
            Ok(Event::InitDone) => Some(Ok(listed.take())),
            Ok(Event::Apply(object)) => Some(Ok(Some(object))),
            Ok(Event::Delete(_)) => Some(Ok(None)),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(seen)
    })
}
