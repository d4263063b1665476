//! Tells of an object in its status and by Events, while it is this replica's to tell of. Also does what is asked for by
//! annotation, because the status acknowledges it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{DeserializeGuard, ObjectMeta},
};
use shop_outbox::{OutboxMetrics, Progress, Store, Tenure, until_counted_again};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    events::Events,
    status::{Assessment, Notice, Situation, age, nobody_leads},
    term::{SETTLE, Term},
    worker::{Context, Object, Planned, Running, elected},
};
use crate::{
    election::Leadership,
    object::{LastError, OutboxPublisher, OutboxPublisherStatus, REDRIVE, RedriveStatus},
};

/// Who owns the status's fields, and who reports Events.
const MANAGER: &str = "outbox-controller";
/// How often numbers are written at most, and how soon a write that failed is tried again. Together with the time between two counts
/// it is well below ten seconds: what is shown is never older while it changes.
const PACE: Duration = Duration::from_secs(5);
/// How often it is seen to that what waits is counted, where no publisher does.
const NEXT_COUNT: Duration = Duration::from_secs(2);
/// How long a request to the API server, or a look into the database, may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the last word of a leader that stops may take: its successor waits for it.
const LAST_WORD: Duration = Duration::from_millis(500);
/// Dead messages redriven by one statement.
const CHUNK: u32 = 500;

pub(super) struct Reporter {
    context: Arc<Context>,
    api: Api<DeserializeGuard<OutboxPublisher>>,
    objects: watch::Receiver<Object>,
    plans: watch::Receiver<Option<Planned>>,
    running: watch::Receiver<Option<Running>>,
    metrics: OutboxMetrics,
    events: Events,
    stop: CancellationToken,
    /// None while another leads.
    term: Option<Term>,
}

impl Reporter {
    pub(super) fn new(
        context: Arc<Context>,
        objects: watch::Receiver<Object>,
        plans: watch::Receiver<Option<Planned>>,
        running: watch::Receiver<Option<Running>>,
        stop: CancellationToken,
    ) -> Self {
        let api = Api::namespaced(context.client.clone(), &context.namespace);
        let metrics = context.metrics.of(objects.borrow().name());
        let (client, identity) = (context.client.clone(), context.identity.clone());
        let events = Events::new(client, &context.namespace, MANAGER, identity, context.clock.clone());
        Self { context, api, objects, plans, running, metrics, events, stop, term: None }
    }

    /// Reports whenever this replica leads.
    pub(super) async fn run(&mut self, mut leadership: watch::Receiver<Leadership>) -> Infallible {
        loop {
            self.term = None;
            let tenure = elected(&mut leadership).await;
            tokio::select! {
                () = self.lead(&tenure) => {}
                () = tenure.ended() => {}
            }
        }
    }

    /// The last word of a leader that stops: that it leads no more. Nobody waits for it for long.
    pub(super) async fn leave(mut self, leadership: &watch::Receiver<Leadership>) {
        let tenure = leadership.borrow().tenure.clone();
        let Some(mut term) = self.term.take().filter(|_| tenure.is_some_and(|tenure| !tenure.is_over()))
        else {
            return;
        };
        let mut status = term.written.clone();
        status.leader = None;
        status.published = Some(self.published_in_all(&term));
        status.conditions = nobody_leads(&status.conditions, &self.now());
        if tokio::time::timeout(LAST_WORD, self.write(&mut term, status)).await.is_err() {
            tracing::debug!("the status goes on naming this leader until there is another");
        }
    }

    async fn lead(&mut self, tenure: &Tenure) {
        let term = self.begin().await;
        self.term = Some(term);
        let note = format!("{} leads from now on", self.context.identity);
        self.tell(&Notice { warning: false, reason: "LeaderElected", note }).await;
        while !tenure.is_over() {
            let Some(mut term) = self.term.take() else { return };
            let pause = self.look(&mut term, tenure).await;
            let known = term.progress.clone();
            self.term = Some(term);
            self.until_something_happens(&known, pause).await;
        }
    }

    /// Starts from what the leader before has written.
    async fn begin(&self) -> Term {
        let name = self.objects.borrow().name().to_owned();
        let (written, version) = loop {
            match tokio::time::timeout(PATIENCE, self.api.get(&name)).await {
                Ok(Ok(object)) => break content(object),
                Ok(Err(error)) => tracing::debug!(error = %error, "the status cannot be read yet"),
                Err(_) => tracing::debug!("the status cannot be read yet: no answer"),
            }
            tokio::time::sleep(SETTLE).await;
        };
        Term::new(written, version, self.published())
    }

    /// Looks at everything, and writes what has become different. Answers how long that holds if nothing happens.
    async fn look(&mut self, term: &mut Term, tenure: &Tenure) -> Duration {
        self.adopt(term);
        let Some(planned) = self.plans.borrow_and_update().clone() else { return PACE };
        let running = self.running.borrow_and_update().clone();
        // A plan that is not carried out yet is not to be judged by what was there before it.
        let running = running.filter(|running| running.generation == planned.generation);
        if self.stop.is_cancelled() || (planned.plan.is_ok() && running.is_none()) {
            return PACE;
        }
        if let Some(running) = &running {
            self.observe(term, running).await;
            self.redrive_if_asked(term, &running.store).await;
        }
        let assessment = Assessment::of(&Situation {
            planned: &planned.plan,
            publishing: term.progress.publishing,
            trouble: term.progress.trouble.as_ref().filter(|_| running.is_some()),
            dead: term.stats().map(|stats| stats.dead).or(term.written.dead),
        });
        let wait = term.settling(&assessment);
        let told = wait.is_none().then_some((&assessment, planned.generation));
        let status = self.compose(term, told);
        let is_news = told.is_some_and(|(assessment, _)| assessment.differs_from(&term.written.conditions))
            || status.leader != term.written.leader
            || status.observed_generation != term.written.observed_generation
            || !term.is_acknowledged();
        // News goes out at once, but not to an API server that has just refused.
        let paced = term.tried.map_or(Duration::ZERO, |(at, _)| PACE.saturating_sub(at.elapsed()));
        let is_due = paced.is_zero() || (is_news && term.tried.is_none_or(|(_, failed)| !failed));
        let differs = status != term.written;
        if differs && is_due && !tenure.is_over() {
            self.write_and_tell(term, status, told.map(|(assessment, _)| assessment)).await;
        }
        let next = if differs && !is_due { paced } else { PACE };
        let grace = self.warn_after_the_grace(term, told.map(|(assessment, _)| assessment)).await;
        [wait, grace].into_iter().flatten().fold(next.min(NEXT_COUNT), Duration::min)
    }

    /// Tells a Warning that was held back, once it is time; answers when that is.
    async fn warn_after_the_grace(&mut self, term: &mut Term, told: Option<&Assessment>) -> Option<Duration> {
        let assessment = told?;
        term.has_worked |= assessment.ready.holds;
        let grace = self.grace(term, assessment);
        if !grace.is_zero() {
            term.spared = assessment.warning();
            return term.spared.is_some().then_some(grace);
        }
        let spared = term.spared.take().filter(|spared| spared.reason == assessment.ready.reason);
        if spared.is_some()
            && let Some(warning) = assessment.warning()
        {
            self.tell(&warning).await;
        }
        None
    }

    /// How long what is in the way is no Warning yet.
    fn grace(&self, term: &Term, assessment: &Assessment) -> Duration {
        let made = self.objects.borrow().metadata().creation_timestamp.clone();
        let age = made.map(|made| self.now().0.as_second() - made.0.as_second());
        term.grace(assessment, age)
    }

    /// Takes over what others have written to the status meanwhile.
    fn adopt(&mut self, term: &mut Term) {
        let object = self.objects.borrow_and_update().clone();
        let seen = &object.metadata().resource_version;
        let number = |version: &Option<String>| version.as_deref().and_then(|text| text.parse::<u64>().ok());
        // Versions of one object can be compared where they are numbers, which they are with etcd (KEP-5504).
        if number(seen) > number(&term.version) {
            term.version.clone_from(seen);
            if let Ok(object) = &object.0 {
                term.written = object.status.clone().unwrap_or_default();
            }
        }
    }

    async fn observe(&self, term: &mut Term, running: &Running) {
        if let Some(mut progress) = running.progress.clone() {
            term.progress = progress.borrow_and_update().clone();
            return;
        }
        term.progress = Progress::default();
        let due = term.counted.is_none_or(|(_, at, took)| at.elapsed() >= until_counted_again(took));
        if due {
            let asked = Instant::now();
            if let Ok(Ok(stats)) = tokio::time::timeout(PATIENCE, running.store.stats()).await {
                term.counted = Some((stats, asked, asked.elapsed()));
            }
        }
    }

    async fn until_something_happens(&mut self, known: &Progress, pause: Duration) {
        let progress = self.running.borrow().as_ref().and_then(|running| running.progress.clone());
        let moved = async {
            match progress {
                // Only what was not looked at yet.
                Some(mut progress) => drop(progress.wait_for(|progress| progress != known).await),
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

    /// The status as it should be; the conditions as they were, while it is not worth telling what is in the way.
    fn compose(&self, term: &Term, told: Option<(&Assessment, Option<i64>)>) -> OutboxPublisherStatus {
        let (before, now) = (&term.written, self.now());
        let stats = term.stats();
        let mut status = OutboxPublisherStatus {
            leader: Some(self.context.identity.clone()),
            epoch: if term.progress.epoch > 0 { Some(term.progress.epoch) } else { before.epoch },
            pending: stats.map(|stats| stats.pending).or(before.pending),
            dead: stats.map(|stats| stats.dead).or(before.dead),
            oldest_pending_age: stats
                .map(|stats| age(stats.oldest_pending_seconds))
                .or_else(|| before.oldest_pending_age.clone()),
            published: Some(self.published_in_all(term)),
            redrive: term.redriven.clone().or_else(|| before.redrive.clone()),
            ..before.clone()
        };
        if let Some((assessment, generation)) = told {
            status.observed_generation = generation;
            status.conditions = assessment.conditions(&before.conditions, generation, &now);
            status.last_error = last_error(assessment, before.last_error.as_ref(), now);
        }
        status
    }

    fn published(&self) -> i64 {
        i64::try_from(self.metrics.published()).unwrap_or(i64::MAX)
    }

    fn published_in_all(&self, term: &Term) -> i64 {
        (term.published_before + self.published()).max(0)
    }

    fn now(&self) -> Time {
        // To the second, as the API keeps it: what is read back must be equal.
        Time(Timestamp::from_second(self.context.clock.now().timestamp()).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// All that are dead now are tried again, once for each nonce.
    async fn redrive_if_asked(&self, term: &mut Term, store: &Store) {
        let Some(nonce) = self.nonce() else { return };
        let answers = [&term.written.redrive, &term.redriven];
        if answers.into_iter().flatten().any(|answer| answer.nonce == nonce) {
            return;
        }
        let (mut count, mut last) = (0, 0);
        loop {
            match tokio::time::timeout(PATIENCE, store.redrive_next(last, CHUNK)).await {
                Ok(Ok(redriven)) => {
                    let Some(end) = redriven.last() else { break };
                    count += i64::try_from(redriven.len()).unwrap_or(i64::MAX);
                    last = end.id;
                }
                // It is asked for still.
                Ok(Err(error)) => return tracing::warn!(error = %error, "dead messages are not redriven yet"),
                Err(_) => return tracing::warn!("dead messages are not redriven yet: no answer"),
            }
        }
        tracing::info!(nonce, count, "dead messages are tried again");
        term.redriven = Some(RedriveStatus { nonce, count, time: self.now() });
    }

    fn nonce(&self) -> Option<String> {
        let objects = self.objects.borrow();
        let nonce = objects.metadata().annotations.as_ref()?.get(REDRIVE)?;
        (!nonce.is_empty()).then(|| nonce.clone())
    }

    async fn write_and_tell(
        &mut self,
        term: &mut Term,
        status: OutboxPublisherStatus,
        assessment: Option<&Assessment>,
    ) {
        let (before, unacknowledged) = (term.written.clone(), !term.is_acknowledged());
        let written = self.write(term, status).await;
        term.tried = Some((Instant::now(), written.is_err()));
        if let Err(error) = written {
            return tracing::warn!(error = format!("{error:#}"), "the status was not written");
        }
        let mut news = assessment
            .map(|told| told.news(&before.conditions, before.dead.unwrap_or_default()))
            .unwrap_or_default();
        if let Some(RedriveStatus { nonce, count, .. }) = term.redriven.as_ref().filter(|_| unacknowledged) {
            let note = format!("{count} dead messages are tried again (nonce {nonce:?})");
            news.push(Notice { warning: false, reason: "Redriven", note });
        }
        let spared = assessment.is_some_and(|told| !self.grace(term, told).is_zero());
        for notice in news.iter().filter(|notice| !(spared && notice.warning)) {
            self.tell(notice).await;
        }
    }

    /// Server-side apply: the whole status is ours. The version keeps what is late, from a leader that is none any more, from
    /// being written over what came after it, and from an object of the same name that was made anew.
    async fn write(&self, term: &mut Term, status: OutboxPublisherStatus) -> anyhow::Result<()> {
        let name = self.objects.borrow().name().to_owned();
        let patch = serde_json::json!({
            "apiVersion": "outbox.shop.dev/v1alpha1",
            "kind": "OutboxPublisher",
            "metadata": { "name": name, "resourceVersion": term.version },
            "status": status,
        });
        let (params, patch) = (PatchParams::apply(MANAGER).force(), Patch::Apply(patch));
        let written = self.api.patch_status(&name, &params, &patch);
        let object = tokio::time::timeout(PATIENCE, written).await??;
        let (_, version) = content(object);
        term.version = version;
        term.written = status;
        Ok(())
    }

    /// An Event that is lost is no reason to do anything else differently.
    async fn tell(&mut self, notice: &Notice) {
        let object = self.objects.borrow().clone();
        match tokio::time::timeout(PATIENCE, self.events.tell(notice, &object)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(reason = notice.reason, error = %error, "an Event was not taken");
            }
            Err(_) => tracing::warn!(reason = notice.reason, "an Event was not taken: no answer"),
        }
    }
}

/// An object's status and version.
fn content(
    DeserializeGuard(object): DeserializeGuard<OutboxPublisher>,
) -> (OutboxPublisherStatus, Option<String>) {
    let version = |metadata: ObjectMeta| metadata.resource_version;
    match object {
        Ok(object) => (object.status.unwrap_or_default(), version(object.metadata)),
        Err(invalid) => (OutboxPublisherStatus::default(), version(invalid.metadata)),
    }
}

fn last_error(assessment: &Assessment, before: Option<&LastError>, now: Time) -> Option<LastError> {
    if assessment.ready.holds || assessment.is_starting() {
        return before.cloned();
    }
    let message = assessment.ready.message.clone();
    Some(match before {
        Some(before) if before.message == message => before.clone(),
        _ => LastError { message, time: now },
    })
}
