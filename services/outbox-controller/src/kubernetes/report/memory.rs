//! What a leader remembers about its object between two reports. No I/O.

use std::time::Duration;

use shop_outbox::{Progress, Stats};
use tokio::time::Instant;

use super::{
    super::object::Object,
    assessment::{Assessment, Notice},
};
use crate::object::{OutboxPublisherStatus, RedriveStatus};

/// How long a problem must last before it is reported: a replaced connection is not worth reporting.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// For how long there are no Warnings about an object that has never worked: a first installation creates everything at once.
const GRACE: Duration = Duration::from_secs(60);

/// What is known while this replica is the leader; the next leader starts from what was written.
pub(super) struct Memory {
    /// As it is in the API server, as far as is known, at this `resourceVersion`.
    pub(super) written: OutboxPublisherStatus,
    pub(super) version: Option<String>,
    /// When a write was last tried, and whether it failed.
    pub(super) tried: Option<(Instant, bool)>,
    /// What `status.published` was when our own count was zero.
    pub(super) published_before: i64,
    /// The last observation.
    pub(super) progress: Progress,
    /// What was counted while no publisher counts, when, and how long that took.
    pub(super) counted: Option<(Stats, Instant, Duration)>,
    /// Since when it does not do what it should, and whether it is only starting since then.
    troubled: Option<(Instant, bool)>,
    /// It has worked before, so whatever keeps it from working is news.
    pub(super) has_worked: bool,
    /// A Warning that was held back so far, because it may only be the first installation.
    pub(super) spared: Option<Notice>,
    /// The last redrive; perhaps not acknowledged in the status yet.
    pub(super) redriven: Option<RedriveStatus>,
}

impl Memory {
    /// Starts from what the leader before has written; this process had published so many before it became the leader.
    pub(super) fn new(written: OutboxPublisherStatus, version: Option<String>, published: i64) -> Self {
        Self {
            published_before: written.published.unwrap_or_default() - published,
            has_worked: has_worked(&written),
            written,
            version,
            tried: None,
            progress: Progress::default(),
            counted: None,
            troubled: None,
            spared: None,
            redriven: None,
        }
    }

    /// Takes over what others have written to the object meanwhile.
    pub(super) fn adopt(&mut self, object: &Object) {
        let seen = &object.metadata().resource_version;
        let number = |version: &Option<String>| version.as_deref().and_then(|text| text.parse::<u64>().ok());
        // Versions of one object can be compared where they are numbers, which they are with etcd (KEP-5504).
        if number(seen) > number(&self.version) {
            self.version.clone_from(seen);
            if let Ok(object) = &object.0 {
                self.written = object.status.clone().unwrap_or_default();
            }
        }
    }

    pub(super) fn stats(&self) -> Option<Stats> {
        self.progress.stats.or(self.counted.map(|(stats, ..)| stats))
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.redriven.is_none() || self.written.redrive == self.redriven
    }

    /// Whether the redrive that `nonce` asks for was done, by this leader or by one before it.
    pub(super) fn has_redriven(&self, nonce: &str) -> bool {
        [&self.written.redrive, &self.redriven].into_iter().flatten().any(|redrive| redrive.nonce == nonce)
    }

    /// Whether more than a number changes with `status`.
    pub(super) fn is_news(&self, status: &OutboxPublisherStatus, reported: Option<&Assessment>) -> bool {
        reported.is_some_and(|assessment| assessment.differs_from(&self.written.conditions))
            || status.leader != self.written.leader
            || status.observed_generation != self.written.observed_generation
            || !self.is_acknowledged()
    }

    /// How long to wait before it is reported that something is in the way; `None` when it has lasted long enough.
    pub(super) fn settling(&mut self, assessment: &Assessment) -> Option<Duration> {
        if assessment.ready.holds {
            self.troubled = None;
            return None;
        }
        // Consecutive problems count from the first one, so that alternating between two is reported, too.
        let starting = assessment.is_starting();
        let before = self.troubled.filter(|(_, was_starting)| *was_starting == starting);
        let (since, _) = *self.troubled.insert(before.unwrap_or_else(|| (Instant::now(), starting)));
        let lasted = since.elapsed();
        (assessment.passing && lasted < SETTLE).then(|| SETTLE - lasted)
    }

    /// How long what is in the way of an object of this age, in seconds, is no Warning yet.
    pub(super) fn grace(&self, assessment: &Assessment, age: Option<i64>) -> Duration {
        if self.has_worked || !assessment.may_be_early {
            return Duration::ZERO;
        }
        // A clock that is behind the API server's makes it no longer.
        let age = age.map(|age| Duration::from_secs(u64::try_from(age).unwrap_or_default()));
        age.map_or(Duration::ZERO, |age| GRACE.saturating_sub(age))
    }
}

fn has_worked(status: &OutboxPublisherStatus) -> bool {
    let ready =
        status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready || status.published.is_some_and(|published| published > 0)
}
