//! Tells of an object in its status and by Events, while it is this replica's to tell of. Also does what is asked for by
//! annotation, because the status acknowledges it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::DeserializeGuard,
    runtime::events::{Event, EventType, Reporter as EventReporter},
};
use shop_outbox::{OutboxMetrics, Progress, Stats, Store, Tenure, Trouble};
use tokio::{sync::watch, time::Instant};

use super::{
    status::{Assessment, Notice, Situation, age},
    worker::{Context, Object, Planned, Running, elected},
};
use crate::{
    election::Leadership,
    object::{LastError, OutboxPublisher, OutboxPublisherStatus, REDRIVE, RedriveStatus},
};

/// Who owns the status's fields, and who reports Events.
const MANAGER: &str = "outbox-controller";
/// How often numbers are looked up, and written at most.
const SURVEY: Duration = Duration::from_secs(5);
/// How long trouble lasts before it is told of: a connection that is made anew is no news.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a request to the API server, or a look into the database, may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Dead messages redriven by one statement.
const CHUNK: u32 = 500;
/// The bound of an Event's note.
const NOTE: usize = 1000;

/// The controller as who reports Events.
pub(super) fn reporter(identity: &str) -> EventReporter {
    EventReporter { controller: MANAGER.to_owned(), instance: Some(identity.to_owned()) }
}

pub(super) struct Reporter {
    context: Arc<Context>,
    api: Api<DeserializeGuard<OutboxPublisher>>,
    objects: watch::Receiver<Object>,
    plans: watch::Receiver<Planned>,
    running: watch::Receiver<Option<Running>>,
    metrics: OutboxMetrics,
}

/// What is known during one time of leadership.
struct Term {
    /// As it is believed to be in the API server.
    written: OutboxPublisherStatus,
    written_at: Option<Instant>,
    /// What `status.published` was when our own count was zero.
    published_before: i64,
    stats: Option<Stats>,
    surveyed_at: Option<Instant>,
    /// Since when things have been as they are, but for the wording.
    since: Option<(&'static str, Instant)>,
    progress: Progress,
}

impl Reporter {
    pub(super) fn new(
        context: Arc<Context>,
        objects: watch::Receiver<Object>,
        plans: watch::Receiver<Planned>,
        running: watch::Receiver<Option<Running>>,
    ) -> Self {
        let api = Api::namespaced(context.client.clone(), &context.namespace);
        let metrics = context.metrics.of(objects.borrow().name());
        Self { context, api, objects, plans, running, metrics }
    }

    /// Reports whenever this replica leads.
    pub(super) async fn run(mut self, mut leadership: watch::Receiver<Leadership>) -> Infallible {
        loop {
            let tenure = elected(&mut leadership).await;
            tokio::select! {
                () = self.lead(&tenure) => {}
                () = tenure.ended() => {}
            }
        }
    }

    async fn lead(&mut self, tenure: &Tenure) {
        let notice = Notice {
            warning: false,
            reason: "LeaderElected",
            note: format!("{} leads from now on", self.context.identity),
        };
        self.tell(&notice).await;
        let mut term = self.begin().await;
        while !tenure.is_over() {
            let pause = self.look(&mut term, tenure).await;
            self.until_something_happens(&mut term, pause).await;
        }
    }

    /// Starts from what the leader before has written.
    async fn begin(&self) -> Term {
        let name = self.objects.borrow().name().to_owned();
        let written = loop {
            match tokio::time::timeout(PATIENCE, self.api.get(&name)).await {
                Ok(Ok(DeserializeGuard(object))) => {
                    break object.ok().and_then(|object| object.status).unwrap_or_default();
                }
                Ok(Err(error)) => tracing::debug!(error = %error, "the status cannot be read yet"),
                Err(_) => tracing::debug!("the status cannot be read yet: no answer"),
            }
            tokio::time::sleep(SETTLE).await;
        };
        Term {
            published_before: written.published.unwrap_or_default() - self.published(),
            written,
            written_at: None,
            stats: None,
            surveyed_at: None,
            since: None,
            progress: Progress::default(),
        }
    }

    fn published(&self) -> i64 {
        i64::try_from(self.metrics.published()).unwrap_or(i64::MAX)
    }

    /// Looks at everything, and writes what has become different. Answers how long that holds if nothing happens.
    async fn look(&mut self, term: &mut Term, tenure: &Tenure) -> Duration {
        let Some(planned) = self.plans.borrow_and_update().clone() else { return SURVEY };
        let running = self.running.borrow_and_update().clone();
        term.progress = match running.as_ref().and_then(|running| running.progress.clone()) {
            Some(mut progress) => progress.borrow_and_update().clone(),
            None => Progress::default(),
        };
        let redriven = match (&running, self.asked_to_redrive(term)) {
            (Some(running), Some(nonce)) => self.redrive(&running.store, nonce).await,
            _ => None,
        };
        if let Some(running) = &running {
            survey(term, &running.store, redriven.is_some()).await;
        }
        let trouble = term.progress.trouble.clone().filter(|_| running.is_some());
        let assessment = Assessment::of(&Situation {
            planned: &planned,
            publishing: term.progress.leading,
            trouble: trouble.as_ref(),
            stats: term.stats.as_ref(),
        });
        if let Some(wait) = settling(term, &assessment) {
            return wait;
        }
        let status = self.compose(term, &assessment, trouble.as_ref(), redriven.clone());
        let is_news = assessment.differs_from(&term.written.conditions)
            || status.leader != term.written.leader
            || status.redrive != term.written.redrive
            || status.observed_generation != term.written.observed_generation;
        let rested = term.written_at.is_none_or(|at| at.elapsed() >= SURVEY);
        if status == term.written || tenure.is_over() || !(is_news || rested) {
            return SURVEY;
        }
        if let Err(error) = self.write(&status).await {
            tracing::warn!(error = format!("{error:#}"), "the status was not written");
            // At the pace of the numbers, whatever the news: an API server that refuses is not to be hammered.
            return SURVEY;
        }
        let mut news = assessment.news(&term.written.conditions, term.written.dead.unwrap_or_default());
        news.extend(redriven.map(|redriven| Notice {
            warning: false,
            reason: "Redriven",
            note: format!("{} dead messages are tried again (nonce {:?})", redriven.count, redriven.nonce),
        }));
        term.written = status;
        term.written_at = Some(Instant::now());
        for notice in &news {
            self.tell(notice).await;
        }
        SURVEY
    }

    async fn until_something_happens(&mut self, term: &mut Term, pause: Duration) {
        let progress = self.running.borrow().as_ref().and_then(|running| running.progress.clone());
        let known = term.progress.clone();
        let moved = async {
            match progress {
                // Only what was not looked at yet.
                Some(mut progress) => drop(progress.wait_for(|progress| *progress != known).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.objects.changed() => {}
            _ = self.plans.changed() => {}
            _ = self.running.changed() => {}
            () = moved => {}
        }
    }

    fn compose(
        &self,
        term: &Term,
        assessment: &Assessment,
        trouble: Option<&Trouble>,
        redriven: Option<RedriveStatus>,
    ) -> OutboxPublisherStatus {
        let before = &term.written;
        let now = self.now();
        let generation = self.objects.borrow().metadata().generation;
        let error = (!assessment.ready.holds && (trouble.is_some() || assessment.ready.reason != "Starting"))
            .then(|| assessment.ready.message.clone());
        let last_error = match (error, &before.last_error) {
            (Some(message), Some(before)) if before.message == message => Some(before.clone()),
            (Some(message), _) => Some(LastError { message, time: now.clone() }),
            (None, before) => before.clone(),
        };
        let stats = term.stats.as_ref();
        OutboxPublisherStatus {
            observed_generation: generation,
            conditions: assessment.conditions(&before.conditions, generation, &now),
            leader: Some(self.context.identity.clone()),
            epoch: if term.progress.epoch > 0 { Some(term.progress.epoch) } else { before.epoch },
            pending: stats.map(|stats| stats.pending).or(before.pending),
            dead: stats.map(|stats| stats.dead).or(before.dead),
            oldest_pending_age: stats
                .map(|stats| age(stats.oldest_pending_seconds))
                .or_else(|| before.oldest_pending_age.clone()),
            published: Some((term.published_before + self.published()).max(0)),
            last_error,
            redrive: redriven.or_else(|| before.redrive.clone()),
        }
    }

    fn now(&self) -> Time {
        // To the second, as the API keeps it: what is read back must be equal.
        Time(Timestamp::from_second(self.context.clock.now().timestamp()).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The annotation's nonce, unless it has been answered.
    fn asked_to_redrive(&self, term: &Term) -> Option<String> {
        let objects = self.objects.borrow();
        let nonce = objects.metadata().annotations.as_ref()?.get(REDRIVE)?;
        let answered = term.written.redrive.as_ref().is_some_and(|redrive| redrive.nonce == *nonce);
        (!answered && !nonce.is_empty()).then(|| nonce.clone())
    }

    /// All that are dead now are tried again. Done twice, because the answer was lost, it does no harm.
    async fn redrive(&self, store: &Store, nonce: String) -> Option<RedriveStatus> {
        let (mut count, mut last) = (0, 0);
        loop {
            match tokio::time::timeout(PATIENCE, store.redrive_next(last, CHUNK)).await {
                Ok(Ok(redriven)) => {
                    let Some(end) = redriven.last() else { break };
                    count += i64::try_from(redriven.len()).unwrap_or(i64::MAX);
                    last = end.id;
                }
                Ok(Err(error)) => {
                    tracing::warn!(error = %error, "dead messages are not redriven yet");
                    return None;
                }
                Err(_) => return None,
            }
        }
        tracing::info!(nonce, count, "dead messages are tried again");
        Some(RedriveStatus { nonce, count, time: self.now() })
    }

    /// Server-side apply: the whole status is ours. The uid keeps it from another object of the same name.
    async fn write(&self, status: &OutboxPublisherStatus) -> anyhow::Result<()> {
        let object = self.objects.borrow().clone();
        let patch = serde_json::json!({
            "apiVersion": "outbox.shop.dev/v1alpha1",
            "kind": "OutboxPublisher",
            "metadata": { "name": object.name(), "uid": object.uid() },
            "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        tokio::time::timeout(PATIENCE, self.api.patch_status(object.name(), &params, &Patch::Apply(patch)))
            .await??;
        Ok(())
    }

    /// An Event that is lost is no reason to do anything else differently.
    async fn tell(&self, notice: &Notice) {
        let mut note = notice.note.clone();
        note.truncate(note.floor_char_boundary(NOTE));
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.to_owned(),
            note: Some(note),
            action: "Publish".to_owned(),
            secondary: None,
        };
        let subject = self.objects.borrow().as_subject();
        match tokio::time::timeout(PATIENCE, self.context.events.publish(&event, &subject)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(reason = notice.reason, error = %error, "an Event was not taken");
            }
            Err(_) => tracing::warn!(reason = notice.reason, "an Event was not taken: no answer"),
        }
    }
}

/// Looks up the numbers when they are due, or `at_once`; the old ones stay when the database does not answer.
async fn survey(term: &mut Term, store: &Store, at_once: bool) {
    if !at_once && term.surveyed_at.is_some_and(|at| at.elapsed() < SURVEY) {
        return;
    }
    if let Ok(Ok(stats)) = tokio::time::timeout(PATIENCE, store.stats()).await {
        term.stats = Some(stats);
    }
    term.surveyed_at = Some(Instant::now());
}

/// How long to wait before it is told that something is in the way; `None` when it has lasted long enough.
fn settling(term: &mut Term, assessment: &Assessment) -> Option<Duration> {
    let reason = assessment.ready.reason;
    let since = match term.since {
        Some((before, since)) if before == reason => since,
        _ => Instant::now(),
    };
    term.since = Some((reason, since));
    let lasted = since.elapsed();
    (assessment.passing && lasted < SETTLE).then(|| SETTLE - lasted)
}
