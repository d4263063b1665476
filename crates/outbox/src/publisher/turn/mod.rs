//! What a leader does next, decided from what happened last: without I/O, clock or randomness.
//!
//! [`Turn::next`] says what to do; one of the other methods takes the outcome. A mark runs in parallel with the following steps,
//! so its outcome may arrive between any two of them.
//!
//! The rules:
//! - A window is half a batch. It is published while the previous window is marked and the next rows are claimed.
//! - The window in flight plus the rows that are confirmed but not yet marked are at most a batch: that is what a crash can duplicate.
//! - A row that waits here, is in flight, or is confirmed but not yet marked is not claimed again.
//! - Refusals by the broker are marked before anything else is sent, and the rows that waited here are forgotten: later rows of the
//!   refused row's aggregate may be among them, and must wait with it.
//! - After a failure, too, the waiting rows are forgotten and confirmed rows are marked first. Then windows are smaller: a
//!   broker that cannot confirm a large one in time may still confirm a small one.
//! - If the broker closes the channel because of an unknown row, the rows of that window are sent one by one, so that the row at
//!   fault is found and only that row fails.
//! - The publisher never sleeps before it has asked the next writer to notify and a claim after that has found nothing.
//! - Nothing is sent without the lease, and a window's deadline never outlives it.

mod backlog;
mod events;
mod step;
mod verdict;

use std::time::{Duration, Instant};

use self::backlog::Backlog;
pub(super) use self::step::{Answered, Claim, End, Look, Moment, Step};
use crate::{
    Options,
    store::{Marks, Row},
};

/// The shortest and the longest pause between two polls. It grows while nothing arrives, by this share of the time since the last work: a
/// transaction that did not notify, because another one was going to, commits soon after that one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(25));
const SHARE: u32 = 4;
/// After this time without work a publisher relies on being woken, and polls only once per poll interval.
const TRUST: Duration = Duration::from_millis(200);
/// How long the broker may take to accept the connection: an operator should soon learn of a silent one.
const CONNECT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Claim rows, if there are any.
    Fill,
    /// Claim only if that could find anything.
    Peek,
    /// Cut the next window.
    Cut,
    Connect,
    Send,
    /// There was nothing to send, and no writer has been asked to notify.
    Ask,
    /// There was nothing to send.
    Idle,
    /// `trusting`: a writer notifies, so polling is the safety net.
    Sleep {
        until: Instant,
        trusting: bool,
    },
    Check,
    Rest {
        until: Instant,
    },
}

/// The state of one leader's work. It is lost with the leadership: the database knows everything that matters.
#[derive(Debug)]
pub(super) struct Turn {
    options: Options,
    /// Claimed, and not yet sent.
    backlog: Backlog,
    /// In flight, or about to be.
    window: Vec<Row>,
    /// Answered by the broker, and not yet being marked.
    unmarked: Marks,
    /// Being marked.
    marking: Option<Marks>,
    /// After the broker closed the channel for an unknown reason: rows up to this id are sent one by one.
    suspect: Option<i64>,
    /// The next writer must notify, and none is known to have done so.
    asleep: bool,
    /// The number of consecutive failures.
    failures: u32,
    last_work: Instant,
    stage: Stage,
    /// Nothing is sent before everything that is answered is marked.
    settling: bool,
    stopping: bool,
    /// The last mark before the stop failed.
    gave_up: bool,
    fenced: bool,
    seed: u64,
}

impl Turn {
    /// The state of a publisher that begins now. `seed` chooses the pauses' random shares.
    pub(super) fn new(options: Options, seed: u64, now: Instant) -> Self {
        Self {
            options,
            backlog: Backlog::default(),
            window: Vec::new(),
            unmarked: Marks::default(),
            marking: None,
            suspect: None,
            asleep: false,
            failures: 0,
            last_work: now,
            stage: Stage::Fill,
            settling: false,
            stopping: false,
            gave_up: false,
            fenced: false,
            seed,
        }
    }

    /// The rows of [`Step::Publish`], in the order in which they are sent.
    pub(super) fn window(&self) -> &[Row] {
        &self.window
    }

    /// The number of consecutive failures.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// What to do now.
    pub(super) fn next(&mut self, at: Moment) -> Step {
        if self.fenced || at.lease.is_zero() {
            return Step::End(End::Fenced);
        }
        if let (Stage::Rest { until }, false) = (self.stage, self.stopping) {
            return Step::Rest { until };
        }
        if (self.stopping || self.settling)
            && let Some(step) = self.settle()
        {
            return step;
        }
        if let Some(marks) = self.begin_to_mark() {
            return Step::Mark(marks);
        }
        self.advance(at)
    }

    /// The next step towards finishing all marks; `None` if there is nothing more to mark and no stop.
    fn settle(&mut self) -> Option<Step> {
        if self.gave_up {
            return Some(Step::End(End::Stopped));
        }
        if self.marking.is_some() {
            return Some(Step::AwaitMark);
        }
        if let Some(marks) = self.begin_to_mark() {
            return Some(Step::Mark(marks));
        }
        if self.stopping {
            return Some(Step::End(End::Stopped));
        }
        self.settling = false;
        self.failures = 0;
        None
    }

    /// One mark at a time: it covers everything that has been answered meanwhile.
    fn begin_to_mark(&mut self) -> Option<Marks> {
        if self.marking.is_some() || self.unmarked.is_empty() {
            return None;
        }
        let marks = std::mem::take(&mut self.unmarked);
        self.marking = Some(marks.clone());
        Some(marks)
    }

    fn advance(&mut self, at: Moment) -> Step {
        match self.stage {
            Stage::Fill if self.backlog.len() == 0 => Step::Claim(self.claim(self.options.batch_size)),
            Stage::Peek => Step::Peek { except: self.confirmed().collect() },
            Stage::Fill | Stage::Cut => self.cut(at),
            Stage::Connect => self.connect(at),
            Stage::Send => Step::Publish { within: self.publish_within(at), look: self.look() },
            Stage::Ask => Step::AskToBeWoken,
            Stage::Idle => self.sleep(at.now),
            Stage::Sleep { until, .. } => Step::Sleep { until },
            Stage::Check => Step::CheckAsleep,
            Stage::Rest { until } => Step::Rest { until },
        }
    }

    /// Cuts the next window, unless it would have to wait for the mark.
    fn cut(&mut self, at: Moment) -> Step {
        let count = self.window_size();
        // Two halves overlap, one in flight and one being marked: together they are what a crash can duplicate.
        let unconfirmed = count.min(self.backlog.len());
        if self.marking.is_some() && self.in_doubt() + unconfirmed > self.options.batch_size {
            return Step::AwaitMark;
        }
        self.window = self.backlog.take_window(count, self.bytes());
        self.stage = Stage::Connect;
        self.connect(at)
    }

    /// Before each window, and even without one: a publisher that is connected while idle has declared the exchange before the first
    /// event, the first event waits for no handshake, and a broker that is away is reported before it is needed. A broker that is
    /// away, or a missing exchange, is no row's fault: only what fails after this step may be.
    fn connect(&self, at: Moment) -> Step {
        Step::Connect { within: self.publish_within(at).min(CONNECT) }
    }

    /// The window's deadline, which never outlives the lease: when the next leader takes over, nothing of ours is in flight.
    fn publish_within(&self, at: Moment) -> Duration {
        self.options.publish_deadline.min(at.lease)
    }

    /// The time until the next poll, if nobody notifies.
    fn sleep(&mut self, now: Instant) -> Step {
        let idle = now.saturating_duration_since(self.last_work);
        let trusting = idle >= TRUST;
        let pause = (idle / SHARE).clamp(PAUSE.0, PAUSE.1);
        let poll = self.options.poll_interval;
        let until = now + if trusting { poll } else { pause.min(poll) };
        self.stage = Stage::Sleep { until, trusting };
        Step::Sleep { until }
    }

    /// What to claim while the window is in flight.
    fn look(&self) -> Look {
        let half = self.half();
        let claim = (self.backlog.len() < half).then(|| self.claim(half * 2));
        Look { ask_to_be_woken: self.has_caught_up(), claim }
    }

    /// If nothing is left, the next writer is asked to notify before the last claim. A full window means that the backlog is not finished.
    fn has_caught_up(&self) -> bool {
        self.backlog.len() == 0 && self.window.len() < self.half()
    }

    fn claim(&self, count: usize) -> Claim {
        let here = self.window.iter().map(|row| row.id).chain(self.backlog.ids());
        Claim { count, bytes: self.bytes(), except: here.chain(self.confirmed()).collect() }
    }

    /// The rows that are confirmed, and not known to be marked.
    fn confirmed(&self) -> impl Iterator<Item = i64> {
        self.marking.iter().chain([&self.unmarked]).flat_map(|marks| marks.sent.iter().copied())
    }

    /// The normal size of a window.
    fn half(&self) -> usize {
        (self.options.batch_size / 2).max(1)
    }

    fn window_size(&self) -> usize {
        if self.suspect.is_some() { 1 } else { (self.half() >> self.failures.min(16)).max(1) }
    }

    /// The bytes of a window, and of the rows waiting behind it.
    fn bytes(&self) -> usize {
        self.options.max_bytes / 2
    }

    /// How many messages the broker has answered for that are not marked yet.
    fn in_doubt(&self) -> usize {
        self.marking.iter().chain([&self.unmarked]).map(|marks| marks.sent.len() + marks.failed.len()).sum()
    }

    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(1);
        self.seed
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
