//! Carries out what [`Turn`] decides: I/O, clock, metrics and log, but no rules of its own.

use std::time::{Duration, Instant};

use shop_messaging::{PublishError, Verdict};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{
    Publisher, chores,
    floor::Floor,
    marking::Marking,
    obstacle::Obstacle,
    rest, spans,
    turn::{Answered, Claim, End, Look, Moment, Step, Turn},
};
use crate::{
    Store, StoreError,
    fence::Lease,
    metrics::Outcome,
    store::{Fence, Row},
};

/// What the steps of a leader need.
struct Work<'a> {
    lease: &'a Lease,
    stop: &'a CancellationToken,
    floor: Floor,
    turn: Turn,
    marking: Marking,
}

impl Publisher {
    /// Publishes under `lease` until it ends, and does the chores of a leader.
    pub(super) async fn publish_under(&mut self, lease: &Lease, stop: &CancellationToken) -> End {
        let store = self.store.clone();
        let (metrics, progress) = (self.metrics.clone(), self.progress.clone());
        let counted = move |stats| progress.send_modify(|progress| progress.stats = Some(stats));
        let (lasting, retention) = (self.options.lease, self.options.retention);
        let floor = Floor::default();
        tokio::select! {
            end = self.publish(lease, floor.clone(), stop) => end,
            // Whatever it waits for: a silent database must not keep the broker's fence from the next leader.
            () = lease.ended() => End::Fenced,
            never = floor.keep(&store) => match never {},
            never = chores::renew(&store, lease, lasting) => match never {},
            never = chores::retire(&store, retention, &metrics) => match never {},
            never = chores::count(&store, &metrics, &counted) => match never {},
        }
    }

    async fn publish(&mut self, lease: &Lease, floor: Floor, stop: &CancellationToken) -> End {
        let turn = Turn::new(self.options.clone(), rand::random(), Instant::now());
        let mut work = Work { lease, stop, floor, turn, marking: Marking::default() };
        loop {
            let marked =
                work.marking.outcome().map_or(Ok(()), |outcome| self.marked(&mut work.turn, outcome));
            if stop.is_cancelled() {
                work.turn.stop();
            }
            let done = match marked {
                Ok(()) => match work.turn.next(Moment { now: Instant::now(), lease: lease.remaining() }) {
                    Step::End(end) => return end,
                    step => self.carry_out(step, &mut work).await,
                },
                Err(obstacle) => Err(obstacle),
            };
            if let Err(obstacle) = done {
                self.step_back(&obstacle, &mut work).await;
            }
        }
    }

    async fn carry_out(&mut self, step: Step, work: &mut Work<'_>) -> Result<(), Obstacle> {
        let Work { turn, marking, floor, lease, stop } = work;
        match step {
            Step::Mark(marks) => marking.begin(self.store.clone(), (*lease).clone(), marks),
            Step::AwaitMark => marking.ended().await,
            Step::Claim(claim) => {
                let rows = marking.beside(take(&self.store, &claim, floor.get())).await?;
                turn.claimed(rows);
            }
            Step::Peek { except } => {
                turn.peeked(marking.beside(self.store.peek(floor.get(), &except)).await?);
            }
            Step::Connect { within } => {
                marking.beside(self.transport.ready(within)).await?;
                self.all_is_well();
                turn.connected();
            }
            Step::Publish { within, look } => self.send(within, &look, work).await?,
            Step::AskToBeWoken => turn.asked(marking.beside(self.store.set_asleep(true)).await.is_ok()),
            Step::Sleep { until } => tokio::select! {
                () = self.woken.work.notified() => turn.woken(),
                // Its outcome must be processed, and the next mark may wait for it.
                () = marking.ended() => {}
                () = stop.cancelled() => {}
                () = tokio::time::sleep_until(until.into()) => turn.waited(),
            },
            Step::CheckAsleep => turn.found(self.store.is_asleep().await.unwrap_or_default()),
            Step::Rest { until } => {
                rest(until.saturating_duration_since(Instant::now()), stop).await;
                turn.rested();
            }
            Step::End(_) => {}
        }
        Ok(())
    }

    /// Publishes one window while earlier ones are marked and the next rows are claimed.
    async fn send(&mut self, within: Duration, look: &Look, work: &mut Work<'_>) -> Result<(), Obstacle> {
        let Work { turn, marking, floor, .. } = work;
        let spans: Vec<Span> = turn.window().iter().map(spans::span).collect();
        let rows = turn.window().iter().zip(&spans);
        let messages: Vec<_> =
            rows.map(|(row, span)| spans::message(row, span, &self.options.app_id)).collect();
        self.metrics.window.observe(messages.len() as f64);

        let (sent, store) = (Instant::now(), self.store.clone());
        let looking = look_for_more(&store, look, floor.get());
        let publishing = self.transport.publish(&messages, within);
        let (published, found) = marking.beside(async { tokio::join!(publishing, looking) }).await;
        let now = Instant::now();
        if let Err(error) = &published {
            self.count_failure(error, messages.len(), now - sent);
        }
        let (found, failed) = match found {
            Ok(rows) => (Some(rows), None),
            Err(error) => (None, Some(error)),
        };
        let answered = turn.published(published, found, now)?;
        self.count(&answered, &spans);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Processes the outcome of a mark.
    fn marked(&self, turn: &mut Turn, outcome: Result<Fence, StoreError>) -> Result<(), Obstacle> {
        self.metrics.published.inc_by(turn.marked(&outcome) as u64);
        match outcome {
            Err(error) if turn.is_stopping() => {
                tracing::warn!(error = %error, "confirmed messages were not marked: they will be sent again");
                Ok(())
            }
            outcome => outcome.map(drop).map_err(Obstacle::from),
        }
    }

    /// Reports what prevents publishing, unless it is time to stop.
    async fn step_back(&mut self, obstacle: &Obstacle, work: &mut Work<'_>) {
        self.rivalry.note(obstacle);
        let trouble = tokio::select! {
            trouble = self.trouble_behind(obstacle) => trouble,
            () = work.stop.cancelled() => return,
        };
        let pause = work.turn.failed(&trouble, Instant::now());
        self.report(trouble, work.turn.failures(), pause);
    }

    fn count_failure(&self, error: &PublishError, messages: usize, took: Duration) {
        let outcome = match error {
            PublishError::TimedOut(_) | PublishError::Blocked(_) => Outcome::TimedOut,
            _ => Outcome::Unknown,
        };
        self.metrics.confirmed(outcome, messages);
        if matches!(error, PublishError::Blocked(_)) {
            self.metrics.blocked.inc_by(took.as_secs_f64());
        }
    }

    fn count(&self, answered: &[Answered], spans: &[Span]) {
        let now = now();
        for (Answered { row, verdict, failure }, span) in answered.iter().zip(spans) {
            let outcome = match verdict {
                Verdict::Confirmed => Outcome::Ack,
                Verdict::Returned(_) => Outcome::Returned,
                Verdict::Nacked => Outcome::Nack,
                Verdict::Refused(_) => Outcome::Refused,
            };
            self.metrics.confirmed(outcome, 1);
            let Some(failure) = failure else {
                let delay = (now - row.message.timestamp).to_std().unwrap_or_default();
                self.metrics.delay.observe(delay.as_secs_f64());
                continue;
            };
            span.record("otel.status_code", "ERROR");
            span.in_scope(|| {
                tracing::warn!(
                    message_id = %row.message.id, aggregate_id = row.aggregate.id, error = failure.error,
                    attempts = row.attempts + 1, dead = failure.pause < 0.0, "a message was not taken"
                );
            });
        }
    }
}

/// Asks the next writer to notify, if it is time to, and claims rows from `floor` on, if there is room for them.
async fn look_for_more(store: &Store, look: &Look, floor: i64) -> Result<Vec<Row>, StoreError> {
    if look.ask_to_be_woken {
        store.set_asleep(true).await?;
    }
    match &look.claim {
        Some(claim) => take(store, claim, floor).await,
        None => Ok(Vec::new()),
    }
}

async fn take(store: &Store, claim: &Claim, floor: i64) -> Result<Vec<Row>, StoreError> {
    store.claim(floor, claim.count, claim.bytes, &claim.except).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "only a metric looks at it, and it compares with the writers' clocks"
)]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
