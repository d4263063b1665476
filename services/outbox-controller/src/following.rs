//! Watches that pace themselves. kube's own back-off starts again whenever a list is retried, so a list that is always refused would be
//! tried twice a second for ever.

use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use kube::{
    Api, Resource,
    runtime::watcher::{self, Config, Event, watcher},
};
use serde::de::DeserializeOwned;

/// How long the API server keeps a watch open. Less than what the client waits for a sign of life, so that a connection that died
/// in silence is noticed.
const OPEN: u32 = 60;
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));

/// All objects that `config` selects, for ever.
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
    stream::unfold((events, 0, false), |(mut events, failures, failed)| async move {
        // Not between the parts of a list: what was waited for is only that it begins.
        if failed {
            let (first, longest) = PAUSES;
            let pause = first.saturating_mul(2u32.saturating_pow(failures)).min(longest);
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        }
        let event = events.next().await?;
        let failures = match &event {
            Err(_) => failures + 1,
            // That a list begins says nothing yet.
            Ok(Event::Init | Event::InitApply(_)) => failures,
            Ok(_) => 0,
        };
        let failed = event.is_err();
        Some((event, (events, failures, failed)))
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
