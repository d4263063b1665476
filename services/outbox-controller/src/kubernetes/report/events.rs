//! Events about an object. One that says the same as the last of its kind is not created again; that one counts it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use shop_core::Clock;

use super::{super::object::Object, assessment::Notice};

/// The longest note of an Event, in bytes.
const NOTE: usize = 1000;
/// For how long Events that say the same are one: client-go's rule.
const SAME: Duration = Duration::from_secs(360);

/// Reports Events on behalf of one replica.
pub(super) struct Events {
    api: Api<Event>,
    controller: &'static str,
    instance: String,
    clock: Clock,
    /// The last of each reason.
    last: HashMap<&'static str, Reported>,
}

struct Reported {
    name: String,
    note: String,
    times: i32,
    at: Instant,
}

impl Events {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        controller: &'static str,
        instance: String,
        clock: Clock,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), controller, instance, clock, last: HashMap::new() }
    }

    /// Reports `notice` about `object`.
    ///
    /// # Errors
    /// The API server refuses, or is away.
    pub(super) async fn report(&mut self, notice: &Notice, object: &Object) -> kube::Result<()> {
        let mut note = notice.note.clone();
        note.truncate(note.floor_char_boundary(NOTE));
        if let Some(last) = self.last.get_mut(notice.reason)
            && last.note == note
            && last.at.elapsed() < SAME
        {
            let series = serde_json::json!({
                "series": { "count": last.times + 1, "lastObservedTime": MicroTime(now(&self.clock)) },
            });
            self.api.patch(&last.name, &PatchParams::default(), &Patch::Merge(series)).await?;
            last.times += 1;
            last.at = Instant::now();
            return Ok(());
        }
        let event = self.event(notice, note.clone(), object);
        let event = self.api.create(&PostParams::default(), &event).await?;
        let name = event.metadata.name.unwrap_or_default();
        self.last.insert(notice.reason, Reported { name, note, times: 1, at: Instant::now() });
        Ok(())
    }

    fn event(&self, notice: &Notice, note: String, object: &Object) -> Event {
        Event {
            metadata: ObjectMeta {
                // Older API servers take no generateName that ends with a dot, as such a name would have to.
                name: Some(format!("{}.{:016x}", object.name(), rand::random::<u64>())),
                namespace: object.metadata().namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some("Publish".to_owned()),
            event_time: Some(MicroTime(now(&self.clock))),
            note: Some(note),
            reason: Some(notice.reason.to_owned()),
            regarding: Some(object.as_subject()),
            reporting_controller: Some(self.controller.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

fn now(clock: &Clock) -> Timestamp {
    Timestamp::from_microsecond(clock.now().timestamp_micros()).unwrap_or(Timestamp::UNIX_EPOCH)
}
