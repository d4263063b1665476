//! What the leader does: windows out, verdicts in, marks behind them; and its chores beside.

use std::{convert::Infallible, time::Duration};

use sea_orm::DbErr;
use shop_messaging::{Message, PublishError, Verdict};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{End, Obstacle, Publisher, floor::Floor, marking::Marking, rest};
use crate::{
    OutboxMetrics, Stats, Store,
    fence::Lease,
    metrics::Outcome,
    retry::{backoff, jittered},
    store::{Failure, Fence, Marks, Row},
    trace,
    window::Backlog,
};

/// The shortest pause between two looks. It grows with the time that nothing came: a transaction that did not notify,
/// because another was to, commits soon after that one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// From here on a publisher trusts in being woken, and looks only once in each poll interval.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
/// How long the broker may take to let us in: an operator is to know soon of one that says nothing.
const CONNECT: Duration = Duration::from_secs(5);
/// How often what waits is counted, at most and at least.
const COUNT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));
/// Sent rows removed by one statement.
const RETIRE_CHUNK: u32 = 1_000;

/// The state of one time of leadership. Lost with it: the database knows everything that matters.
struct Turn {
    backlog: Backlog,
    /// Answered by the broker, and not yet on its way to be marked.
    unmarked: Marks,
    marking: Marking,
    floor: Floor,
    /// While the broker closed the channel for an unknown reason: rows up to this id go out one by one, so that
    /// the one at fault is found.
    suspect: Option<i64>,
    /// The next writer is to notify, and none is known to have.
    asleep: bool,
    last_work: Instant,
    failures: u32,
}

impl Turn {
    /// How many messages the broker has answered for, and no mark.
    fn in_doubt(&self) -> usize {
        self.marking.sent().len() + self.unmarked.sent.len() + self.unmarked.failed.len()
    }

    /// The rows that must not be claimed again: those that wait here, and those that are not yet marked.
    fn ids(&self) -> impl Iterator<Item = i64> {
        let unmarked = self.unmarked.sent.iter().chain(self.marking.sent()).copied();
        unmarked.chain(self.backlog.ids())
    }
}

impl Publisher {
    /// Publishes under `lease` until it ends.
    pub(super) async fn lead(&mut self, lease: &Lease, stop: &CancellationToken) -> End {
        let store = self.store.clone();
        let (metrics, progress) = (self.metrics.clone(), self.progress.clone());
        let counted = move |stats| progress.send_modify(|progress| progress.stats = Some(stats));
        let (term, retention) = (self.options.lease, self.options.retention);
        let floor = Floor::default();
        tokio::select! {
            end = self.publish(lease, floor.clone(), stop) => end,
            // Whatever it waits for: a database that says nothing must not keep the broker's fence from the next leader.
            () = lease.ended() => End::Fenced,
            never = floor.keep(&store) => match never {},
            never = keep(&store, lease, term) => match never {},
            never = retire(&store, retention, &metrics) => match never {},
            never = observe(&store, &metrics, &counted) => match never {},
        }
    }

    async fn publish(&mut self, lease: &Lease, floor: Floor, stop: &CancellationToken) -> End {
        let mut turn = Turn {
            backlog: Backlog::default(),
            unmarked: Marks::default(),
            marking: Marking::default(),
            floor,
            suspect: None,
            asleep: false,
            last_work: Instant::now(),
            failures: 0,
        };
        loop {
            if lease.is_over() {
                return End::Fenced;
            }
            match self.step(&mut turn, lease, stop).await {
                Ok(Next::Work) => turn.failures = 0,
                Ok(Next::Sleep) => {
                    turn.failures = 0;
                    self.sleep(&mut turn, stop).await;
                }
                Ok(Next::End(end)) => return end,
                Err(obstacle) => {
                    // What was in flight is in doubt, and the database is asked again.
                    turn.backlog.clear();
                    turn.failures += 1;
                    self.rivalry.note(&obstacle);
                    let trouble = tokio::select! {
                        trouble = self.trouble_behind(&obstacle) => trouble,
                        () = stop.cancelled() => return self.flush(&mut turn, lease).await,
                    };
                    let pause = self.report(trouble, turn.failures);
                    rest(jittered(pause), stop).await;
                }
            }
        }
    }

    /// One window: it goes out while the ones before it are marked and the next rows are fetched.
    async fn step(
        &mut self,
        turn: &mut Turn,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> Result<Next, Obstacle> {
        if stop.is_cancelled() {
            return Ok(Next::End(self.flush(turn, lease).await));
        }
        if turn.failures > 0 && turn.in_doubt() > 0 {
            // In trouble nothing new goes out before what is confirmed is marked, or the two could grow apart.
            return self.settle(turn, lease).await;
        }
        if turn.marking.has_ended()
            && let Some(end) = self.marked(turn).await?
        {
            return Ok(end);
        }
        if !turn.marking.is_running() && !turn.unmarked.is_empty() {
            turn.marking.start(self.store.clone(), lease.clone(), std::mem::take(&mut turn.unmarked));
        }
        if turn.backlog.len() == 0 {
            self.fetch(turn).await?;
        }
        // Two halves overlap, one in flight and one being marked: together they are what a crash can duplicate.
        let half = (self.options.batch_size / 2).max(1);
        // A broker that cannot confirm a window in time may still confirm a smaller one.
        let count = if turn.suspect.is_some() { 1 } else { (half >> turn.failures.min(16)).max(1) };
        if turn.marking.is_running()
            && turn.in_doubt() + count.min(turn.backlog.len()) > self.options.batch_size
        {
            return Ok(self.marked(turn).await?.unwrap_or(Next::Work));
        }
        let window = turn.backlog.take_window(count, self.options.max_bytes / 2);
        let ready = self.transport.ready(self.publish_within(lease).min(CONNECT));
        // Even for no window. Connected while idle: the exchange is there to bind to before the first event, the first event
        // waits for no handshake, and a broker that is away is told of before it is needed. And a broker that is away, or a
        // missing exchange, is no row's fault: only what fails after this may be.
        turn.marking.beside(ready).await?;
        self.all_is_well();
        if window.is_empty() {
            return Ok(Next::Sleep);
        }
        self.send(turn, lease, &window, half).await
    }

    async fn send(
        &mut self,
        turn: &mut Turn,
        lease: &Lease,
        window: &[Row],
        half: usize,
    ) -> Result<Next, Obstacle> {
        let spans: Vec<Span> = window.iter().map(span).collect();
        let messages = self.messages(window, &spans);
        let ids: Vec<i64> = window.iter().map(|row| row.id).collect();
        self.metrics.window.observe(window.len() as f64);

        let (sent, deadline) = (Instant::now(), self.publish_within(lease));
        let except: Vec<i64> = ids.iter().copied().chain(turn.ids()).collect();
        let floor = (turn.backlog.len() < half).then(|| turn.floor.get());
        // With nothing left, the next writer is asked to notify before the last look. A full window has not caught up.
        let caught_up = turn.backlog.len() == 0 && window.len() < half;
        let store = self.store.clone();
        let (published, fetched) = turn
            .marking
            .beside(async {
                tokio::join!(
                    self.transport.publish(&messages, deadline),
                    fetch(&store, caught_up, floor, self.options.max_bytes / 2, half * 2, &except),
                )
            })
            .await;
        turn.last_work = Instant::now();
        let verdicts = self.explain(turn, window, published, sent.elapsed())?;
        // The verdicts come first: what the broker has confirmed must be marked whatever else failed.
        turn.unmarked.extend(self.judge(window, &verdicts, &spans));
        let rows = fetched?;
        turn.asleep = caught_up && rows.is_empty();
        turn.backlog.extend(rows);
        turn.suspect = turn.suspect.filter(|last| ids.iter().all(|id| id < last));
        if verdicts.iter().any(|verdict| *verdict != Verdict::Confirmed) {
            // What follows a refused row in its aggregate may be here already, and must wait with it.
            turn.backlog.clear();
            return self.settle(turn, lease).await.map(Next::or_work);
        }
        Ok(Next::Work)
    }

    /// Marks all that is answered, and waits for it; without anything to mark there is nothing to do.
    async fn settle(&mut self, turn: &mut Turn, lease: &Lease) -> Result<Next, Obstacle> {
        if turn.in_doubt() == 0 {
            return Ok(Next::Sleep);
        }
        if let Some(end) = self.marked(turn).await? {
            return Ok(end);
        }
        turn.marking.start(self.store.clone(), lease.clone(), std::mem::take(&mut turn.unmarked));
        Ok(self.marked(turn).await?.unwrap_or(Next::Work))
    }

    /// Waits for the mark that is on its way; tells of the end, if it found another publisher in charge.
    async fn marked(&mut self, turn: &mut Turn) -> Result<Option<Next>, Obstacle> {
        let Some((marks, outcome)) = turn.marking.outcome().await else { return Ok(None) };
        match outcome {
            Ok(Fence::Holds) => {
                self.metrics.published.inc_by(marks.sent.len() as u64);
                Ok(None)
            }
            Ok(Fence::Lost) => Ok(Some(Next::End(End::Fenced))),
            Err(error) => {
                // Kept for another try: a mark that is done twice does no harm, one that is lost duplicates.
                turn.unmarked.extend(marks);
                Err(error.into())
            }
        }
    }

    /// Marks what is confirmed before the lease is given back.
    async fn flush(&mut self, turn: &mut Turn, lease: &Lease) -> End {
        match self.settle(turn, lease).await {
            Ok(Next::End(end)) => return end,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error, "confirmed messages were not marked: they will be sent again");
            }
        }
        End::Stopped
    }

    async fn fetch(&mut self, turn: &mut Turn) -> Result<(), DbErr> {
        let (count, bytes) = (self.options.batch_size, self.options.max_bytes / 2);
        let except: Vec<i64> = turn.ids().collect();
        let claim = self.store.claim(turn.floor.get(), count, bytes, &except);
        let rows = turn.marking.beside(claim).await?;
        turn.asleep &= rows.is_empty();
        turn.backlog.extend(rows);
        Ok(())
    }

    /// The window's deadline, which never outlives the lease as it is known now: whoever takes over after its end
    /// finds nothing of ours on its way.
    fn publish_within(&self, lease: &Lease) -> Duration {
        self.options.publish_deadline.min(lease.remaining())
    }

    fn messages(&self, window: &[Row], spans: &[Span]) -> Vec<Message> {
        let with_context = |(row, span): (&Row, &Span)| {
            let mut message = Message { app_id: self.options.app_id.clone(), ..row.message.clone() };
            trace::inject(span, &mut message.headers);
            message
        };
        window.iter().zip(spans).map(with_context).collect()
    }

    /// What failed as a whole, made sense of: when the broker closed the channel because of some row, the rows of
    /// this window go out one by one; when it closed it because of a single row, that row has failed.
    fn explain(
        &self,
        turn: &mut Turn,
        window: &[Row],
        published: Result<Vec<Verdict>, PublishError>,
        took: Duration,
    ) -> Result<Vec<Verdict>, PublishError> {
        let Err(error) = published else { return published };
        let outcome = match error {
            PublishError::TimedOut(_) | PublishError::Blocked(_) => Outcome::TimedOut,
            _ => Outcome::Unknown,
        };
        self.metrics.confirmed(outcome, window.len());
        if matches!(error, PublishError::Blocked(_)) {
            self.metrics.blocked.inc_by(took.as_secs_f64());
        }
        match (&error, window) {
            (PublishError::ChannelClosed(_), [_]) => Ok(vec![Verdict::Returned(error.to_string())]),
            (PublishError::ChannelClosed(_), _) => {
                turn.suspect = window.iter().map(|row| row.id).max();
                Err(error)
            }
            // A missing exchange, too, is no row's fault: the next connection declares it.
            _ => Err(error),
        }
    }

    /// Turns verdicts into marks.
    fn judge(&self, window: &[Row], verdicts: &[Verdict], spans: &[Span]) -> Marks {
        let now = now();
        let mut marks = Marks::default();
        for ((row, verdict), span) in window.iter().zip(verdicts).zip(spans) {
            let (outcome, error) = match verdict {
                Verdict::Confirmed => {
                    marks.sent.push(row.id);
                    self.metrics.confirmed(Outcome::Ack, 1);
                    let delay = (now - row.message.timestamp).to_std().unwrap_or_default();
                    self.metrics.delay.observe(delay.as_secs_f64());
                    continue;
                }
                Verdict::Returned(reason) => (Outcome::Returned, format!("returned: {reason}")),
                Verdict::Nacked => (Outcome::Nack, "the broker refused it (nack)".to_owned()),
                Verdict::Refused(reason) => (Outcome::Refused, reason.clone()),
            };
            self.metrics.confirmed(outcome, 1);
            span.record("otel.status_code", "ERROR");
            let pause = match outcome {
                Outcome::Refused => None,
                _ => self.options.retry.pause_after(row.attempts + 1).map(jittered),
            };
            span.in_scope(|| {
                tracing::warn!(
                    message_id = %row.message.id, aggregate_id = row.aggregate.id, error, attempts = row.attempts + 1,
                    dead = pause.is_none(), "a message was not taken"
                );
            });
            marks.failed.push(Failure {
                id: row.id,
                error,
                pause: pause.map_or(-1.0, |pause| pause.as_secs_f64()),
            });
        }
        marks
    }

    /// Waits for a notification, for the next look, or for the end. Before it counts on notifications it asks for one, and
    /// then looks once more.
    async fn sleep(&mut self, turn: &mut Turn, stop: &CancellationToken) {
        if !turn.asleep {
            // On failure it stays awake, and polls.
            turn.asleep = turn.marking.beside(self.store.set_asleep(true)).await.is_ok();
            if turn.asleep {
                return;
            }
        }
        let pause = (turn.last_work.elapsed() / 8).max(SHORTEST_PAUSE);
        let trusting = pause >= LONGEST_PAUSE;
        let pause = if trusting { self.options.poll_interval } else { pause.min(self.options.poll_interval) };
        tokio::select! {
            () = self.woken.work.notified() => turn.asleep = false,
            // Its outcome is to be taken, and the next mark may wait for it.
            () = turn.marking.ended() => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => if trusting {
                // One that was to notify may have rolled back instead.
                turn.asleep = self.store.is_asleep().await.unwrap_or_default();
            },
        }
    }
}

enum Next {
    Work,
    Sleep,
    End(End),
}

impl Next {
    fn or_work(self) -> Self {
        match self {
            Self::Sleep => Self::Work,
            other => other,
        }
    }
}

/// The next rows from `floor` on; none of them when there is no floor, for enough are waiting.
async fn fetch(
    store: &Store,
    caught_up: bool,
    floor: Option<i64>,
    bytes: usize,
    count: usize,
    except: &[i64],
) -> Result<Vec<Row>, DbErr> {
    if caught_up {
        store.set_asleep(true).await?;
    }
    match floor {
        Some(floor) => store.claim(floor, count, bytes, except).await,
        None => Ok(Vec::new()),
    }
}

/// Renews the lease, three times in each term. Says nothing of a failure but to the log: the lease ends by itself.
async fn keep(store: &Store, lease: &Lease, term: Duration) -> Infallible {
    loop {
        tokio::time::sleep(term / 3).await;
        match tokio::time::timeout(term / 3, store.renew(lease, term)).await {
            Ok(Ok(Fence::Holds)) => {}
            Ok(Ok(Fence::Lost)) => {
                lease.revoke();
                return std::future::pending().await;
            }
            Ok(Err(error)) => tracing::warn!(error = %error, "the lease was not renewed"),
            Err(_) => tracing::warn!("the lease was not renewed: the database does not answer"),
        }
    }
}

/// Removes sent rows after their retention, in chunks, with a pause between them that leaves room for the others. A chunk
/// begins where the one before it ended: what was removed may stay in the index for long.
async fn retire(store: &Store, retention: Option<Duration>, metrics: &OutboxMetrics) -> Infallible {
    let Some(retention) = retention else { return std::future::pending().await };
    let (mut failures, mut from) = (0, 0);
    loop {
        let pause = match store.retire(retention, from, RETIRE_CHUNK).await {
            Ok((removed, last)) => {
                failures = 0;
                metrics.retired.inc_by(removed);
                let more = removed == u64::from(RETIRE_CHUNK);
                from = last.filter(|_| more).unwrap_or_default();
                if more { Duration::from_millis(100) } else { Duration::from_secs(60) }
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(error = %error, "sent rows were not removed");
                backoff(Duration::from_secs(5), Duration::from_secs(300), failures)
            }
        };
        tokio::time::sleep(jittered(pause)).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only a metric looks at it, and it compares with the writers' clocks"
)]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Keeps the gauges up to date. A backlog takes long to count, so in two hundredths of the time if possible; but what is told of it
/// must never be old.
async fn observe(store: &Store, metrics: &OutboxMetrics, counted: &(dyn Fn(Stats) + Sync)) -> Infallible {
    loop {
        let asked = Instant::now();
        if let Ok(stats) = store.stats().await {
            metrics.pending.set(stats.pending);
            metrics.dead.set(stats.dead);
            metrics.oldest_pending.set(stats.oldest_pending_seconds as i64);
            counted(stats);
        }
        tokio::time::sleep(until_counted_again(asked.elapsed())).await;
    }
}

/// How long to wait between two counts of what an outbox holds, when one took as long as `took`.
pub fn until_counted_again(took: Duration) -> Duration {
    let (soonest, latest) = COUNT;
    (took * 50).clamp(soonest, latest)
}

/// The publish span of a row: a part of the trace in which the row was appended.
fn span(row: &Row) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "outbox publish",
        otel.name = format!("publish {}", row.message.routing_key),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.type = "send",
        messaging.message.id = %row.message.id,
        messaging.rabbitmq.destination.routing_key = row.message.routing_key,
        outbox.aggregate_id = row.aggregate.id,
        outbox.attempt = row.attempts + 1,
    );
    // An error would only say that the span is disabled by the filter.
    let _ = span.set_parent(trace::parent(&row.message.headers));
    span
}
