//! Reports on an object in its status and by Events, while this replica is the object's leader. Also redrives dead messages when
//! an annotation asks for it, because the status acknowledges that.

mod assessment;
mod events;
mod memory;
mod redrive;
mod status;

use std::{convert::Infallible, sync::Arc, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use shop_outbox::{OutboxMetrics, Progress, Tenure, until_counted_again};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    assessment::{Assessment, Notice, Situation},
    events::Events,
    memory::{Memory, SETTLE},
    redrive::redrive_all,
    status::{Parts, Status, compose, last_word},
};
use super::{
    context::Context,
    snapshot::{Running, Snapshot, elected},
};
use crate::object::{OutboxPublisherStatus, RedriveStatus};

/// Who owns the status's fields, and who reports Events.
const MANAGER: &str = "outbox-controller";
/// How often numbers are written at most, and how soon a write that failed is tried again. Together with the time between two counts
/// it is well below ten seconds: what is shown is never older while it changes.
const PACE: Duration = Duration::from_secs(5);
/// How often it is checked that what waits is counted, where no publisher counts it.
const NEXT_COUNT: Duration = Duration::from_secs(2);
/// How long an Event, or a database query, may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a stopping leader's final status may take: its successor waits for it.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Reports on one object.
pub(super) struct Reporter {
    desk: Desk,
    /// What is known of the object; `None` while another replica is the leader.
    memory: Option<Memory>,
}

impl Reporter {
    pub(super) fn new(
        context: Arc<Context>,
        snapshots: watch::Receiver<Snapshot>,
        stop: CancellationToken,
    ) -> Self {
        let name = snapshots.borrow().object.name().to_owned();
        let (client, namespace) = (context.client.clone(), context.namespace.as_str());
        let metrics = context.metrics.of(&name);
        let status = Status::new(client.clone(), namespace, name, MANAGER);
        let (identity, clock) = (context.identity.clone(), context.clock.clone());
        let events = Events::new(client, namespace, MANAGER, identity, clock);
        let desk = Desk { context, snapshots, stop, metrics, status, events };
        Self { desk, memory: None }
    }

    /// Reports whenever this replica is the leader.
    pub(super) async fn run(&mut self) -> Infallible {
        let Self { desk, memory } = self;
        loop {
            *memory = None;
            let tenure = elected(&mut desk.snapshots).await;
            let reports = async {
                let memory = memory.insert(desk.begin().await);
                desk.announce().await;
                while !tenure.is_over() {
                    let pause = desk.look(memory, &tenure).await;
                    desk.until_something_changes(pause).await;
                }
            };
            tokio::select! {
                () = reports => {}
                () = tenure.ended() => {}
            }
        }
    }

    /// Writes the final status of a stopping leader: that it is no longer the leader. The time for this is limited.
    pub(super) async fn leave(self) {
        let Self { desk, memory } = self;
        let tenure = desk.snapshots.borrow().tenure.clone();
        let (Some(mut memory), Some(tenure)) = (memory, tenure) else { return };
        if !matches!(tokio::time::timeout(LAST_WORD, desk.say_last(&mut memory, &tenure)).await, Ok(Ok(()))) {
            tracing::debug!("the status goes on naming this leader until there is another");
        }
    }
}

/// What reports are made from, and where they go.
struct Desk {
    context: Arc<Context>,
    snapshots: watch::Receiver<Snapshot>,
    stop: CancellationToken,
    metrics: OutboxMetrics,
    status: Status,
    events: Events,
}

impl Desk {
    /// Starts from what the leader before has written.
    async fn begin(&self) -> Memory {
        loop {
            match self.status.read().await {
                Ok((written, version)) => return Memory::new(written, version, self.published()),
                Err(error) => tracing::debug!(error = %error, "the status cannot be read yet"),
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    async fn announce(&mut self) {
        let note = format!("{} leads from now on", self.context.identity);
        self.report(&Notice { warning: false, reason: "LeaderElected", note }).await;
    }

    /// Writes the final status.
    async fn say_last(&self, memory: &mut Memory, tenure: &Tenure) -> anyhow::Result<()> {
        let word = |memory: &Memory| last_word(&memory.written, self.published_in_all(memory), self.now());
        anyhow::ensure!(!tenure.is_over(), "another replica may be the leader");
        let written = self.write(memory, word(memory)).await;
        if written.is_ok() || tenure.is_over() {
            return written;
        }
        // A write that was cut short just before may have been done all the same.
        (memory.written, memory.version) = self.status.read().await?;
        self.write(memory, word(memory)).await
    }

    /// Checks everything, and writes what has changed. Returns how long that is valid if nothing happens.
    async fn look(&mut self, memory: &mut Memory, tenure: &Tenure) -> Duration {
        let snapshot = self.snapshots.borrow_and_update().clone();
        memory.adopt(&snapshot.object);
        let Some(planned) = &snapshot.planned else { return PACE };
        // A plan that nothing carries out yet cannot be judged.
        if self.stop.is_cancelled() || (planned.plan.is_ok() && snapshot.running.is_none()) {
            return PACE;
        }
        if let Some(running) = &snapshot.running {
            observe(memory, running).await;
            self.redrive_if_asked(memory, running).await;
        }
        let assessment = Assessment::of(&Situation {
            planned: &planned.plan,
            publishing: memory.progress.publishing,
            trouble: memory.progress.trouble.as_ref().filter(|_| snapshot.running.is_some()),
            dead: memory.stats().map(|stats| stats.dead).or(memory.written.dead),
        });
        let wait = memory.settling(&assessment);
        let reported = wait.is_none().then_some((&assessment, planned.generation));
        let next = self.write_if_due(memory, reported, tenure).await;
        let grace = self.warn_after_the_grace(memory, reported.map(|(assessment, _)| assessment)).await;
        [wait, grace].into_iter().flatten().fold(next, Duration::min)
    }

    async fn until_something_changes(&mut self, pause: Duration) {
        // The worker keeps its end for as long as this runs.
        let _ = tokio::time::timeout(pause, self.snapshots.changed()).await;
    }

    /// Writes the status if there is something new in it, and not too soon after the last time. Returns when it is due next.
    async fn write_if_due(
        &mut self,
        memory: &mut Memory,
        reported: Option<(&Assessment, Option<i64>)>,
        tenure: &Tenure,
    ) -> Duration {
        let status = compose(Parts {
            leader: &self.context.identity,
            memory,
            published: self.published_in_all(memory),
            reported,
            now: self.now(),
        });
        let is_news = memory.is_news(&status, reported.map(|(assessment, _)| assessment));
        // News goes out at once, but not to an API server that has just refused.
        let paced = memory.tried.map_or(Duration::ZERO, |(at, _)| PACE.saturating_sub(at.elapsed()));
        let is_due = paced.is_zero() || (is_news && memory.tried.is_none_or(|(_, failed)| !failed));
        let differs = status != memory.written;
        if differs && is_due && !tenure.is_over() {
            self.write_and_report(memory, status, reported.map(|(assessment, _)| assessment)).await;
        }
        let next = if differs && !is_due { paced } else { PACE };
        next.min(NEXT_COUNT)
    }

    async fn write_and_report(
        &mut self,
        memory: &mut Memory,
        status: OutboxPublisherStatus,
        assessment: Option<&Assessment>,
    ) {
        let (before, unacknowledged) = (memory.written.clone(), !memory.is_acknowledged());
        let written = self.write(memory, status).await;
        memory.tried = Some((Instant::now(), written.is_err()));
        if let Err(error) = written {
            return tracing::warn!(error = format!("{error:#}"), "the status was not written");
        }
        let mut news = assessment
            .map(|assessment| assessment.news(&before.conditions, before.dead.unwrap_or_default()))
            .unwrap_or_default();
        if let Some(RedriveStatus { nonce, count, .. }) = memory.redriven.as_ref().filter(|_| unacknowledged)
        {
            let note = format!("{count} dead messages are tried again (nonce {nonce:?})");
            news.push(Notice { warning: false, reason: "Redriven", note });
        }
        let spared = assessment.is_some_and(|assessment| !self.grace(memory, assessment).is_zero());
        for notice in news.iter().filter(|notice| !(spared && notice.warning)) {
            self.report(notice).await;
        }
    }

    async fn write(&self, memory: &mut Memory, status: OutboxPublisherStatus) -> anyhow::Result<()> {
        memory.version = self.status.write(&status, memory.version.as_deref()).await?;
        memory.written = status;
        Ok(())
    }

    /// Reports a Warning that was held back, once it is time; returns when that is.
    async fn warn_after_the_grace(
        &mut self,
        memory: &mut Memory,
        reported: Option<&Assessment>,
    ) -> Option<Duration> {
        let assessment = reported?;
        memory.has_worked |= assessment.ready.holds;
        let grace = self.grace(memory, assessment);
        if !grace.is_zero() {
            memory.spared = assessment.warning();
            return memory.spared.is_some().then_some(grace);
        }
        let spared = memory.spared.take().filter(|spared| spared.reason == assessment.ready.reason);
        if spared.is_some()
            && let Some(warning) = assessment.warning()
        {
            self.report(&warning).await;
        }
        None
    }

    /// How long what is in the way is no Warning yet.
    fn grace(&self, memory: &Memory, assessment: &Assessment) -> Duration {
        let created = self.snapshots.borrow().object.created();
        let age = created.map(|created| self.now().as_second() - created.as_second());
        memory.grace(assessment, age)
    }

    /// Redrives all messages that are dead now, once for each nonce.
    async fn redrive_if_asked(&self, memory: &mut Memory, running: &Running) {
        let nonce = self.snapshots.borrow().object.redrive().map(str::to_owned);
        let Some(nonce) = nonce.filter(|nonce| !memory.has_redriven(nonce)) else { return };
        if let Some(count) = redrive_all(&running.store).await {
            tracing::info!(nonce, count, "dead messages are tried again");
            memory.redriven = Some(RedriveStatus { nonce, count, time: Time(self.now()) });
        }
    }

    /// Reports an Event. One that is lost is no reason to do anything else differently.
    async fn report(&mut self, notice: &Notice) {
        let object = self.snapshots.borrow().object.clone();
        match tokio::time::timeout(PATIENCE, self.events.report(notice, &object)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(reason = notice.reason, error = %error, "an Event was not taken");
            }
            Err(_) => tracing::warn!(reason = notice.reason, "an Event was not taken: no answer"),
        }
    }

    fn published(&self) -> i64 {
        i64::try_from(self.metrics.published()).unwrap_or(i64::MAX)
    }

    fn published_in_all(&self, memory: &Memory) -> i64 {
        (memory.published_before + self.published()).max(0)
    }

    /// To the second, as the API keeps it: what is read back must be equal.
    fn now(&self) -> Timestamp {
        let seconds = self.context.clock.now().timestamp();
        Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Takes in where the publisher stands. Where none is at work, what waits is counted here.
async fn observe(memory: &mut Memory, running: &Running) {
    if let Some(progress) = &running.progress {
        memory.progress = progress.clone();
        return;
    }
    memory.progress = Progress::default();
    let due = memory.counted.is_none_or(|(_, at, took)| at.elapsed() >= until_counted_again(took));
    if due {
        let asked = Instant::now();
        if let Ok(Ok(stats)) = tokio::time::timeout(PATIENCE, running.store.stats()).await {
            memory.counted = Some((stats, asked, asked.elapsed()));
        }
    }
}
