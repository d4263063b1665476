//! What a leader knows of its object from one look to the next. No I/O.

use std::time::Duration;

use shop_outbox::{Progress, Stats};
use tokio::time::Instant;

use super::status::{Assessment, Notice};
use crate::object::{OutboxPublisherStatus, RedriveStatus};

/// How long trouble lasts before it is told of: a connection that is made anew is no news.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// How long an object that has never worked is spared Warnings of what may come yet: a first installation makes everything at once.
const GRACE: Duration = Duration::from_secs(60);

/// What is known during one time of leadership.
pub(super) struct Term {
    /// As it is in the API server, as far as is known, at this `resourceVersion`.
    pub(super) written: OutboxPublisherStatus,
    pub(super) version: Option<String>,
    /// When a write was last tried, and whether it failed.
    pub(super) tried: Option<(Instant, bool)>,
    /// What `status.published` was when our own count was zero.
    pub(super) published_before: i64,
    /// As last looked at.
    pub(super) progress: Progress,
    /// What was counted while nothing is published, when, and how long it took.
    pub(super) counted: Option<(Stats, Instant, Duration)>,
    /// Since when it does not do what it should, and whether it is only starting since then.
    troubled: Option<(Instant, bool)>,
    /// It has worked, and what keeps it from that is news.
    pub(super) has_worked: bool,
    /// A Warning that its first installation was spared so far.
    pub(super) spared: Option<Notice>,
    /// Done, and perhaps not acknowledged yet.
    pub(super) redriven: Option<RedriveStatus>,
}

impl Term {
    /// One that begins with what the leader before has written, when we ourselves had published so many.
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

    pub(super) fn stats(&self) -> Option<Stats> {
        self.progress.stats.or(self.counted.map(|(stats, ..)| stats))
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.redriven.is_none() || self.written.redrive == self.redriven
    }

    /// How long to wait before it is told that something is in the way; `None` when it has lasted long enough.
    pub(super) fn settling(&mut self, assessment: &Assessment) -> Option<Duration> {
        if assessment.ready.holds {
            self.troubled = None;
            return None;
        }
        // Of one trouble after another the first counts: what goes back and forth between two is to be told, too.
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
