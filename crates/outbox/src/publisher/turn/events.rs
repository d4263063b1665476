//! What can happen to a leader, and what follows from it.

use std::time::{Duration, Instant};

use shop_messaging::{PublishError, Verdict};

use super::{Stage, Turn, step::Answered, verdict};
use crate::{
    publisher::trouble::Trouble,
    store::{Fence, Row},
};

impl Turn {
    /// The process is stopping: confirmed rows are marked, and nothing more is sent.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// The mark has ended. Returns how many rows are now marked as sent.
    pub(crate) fn marked<E>(&mut self, outcome: &Result<Fence, E>) -> usize {
        let Some(marks) = self.marking.take() else { return 0 };
        if let Stage::Sleep { .. } = self.stage {
            self.stage = Stage::Peek;
        }
        match outcome {
            Ok(Fence::Holds) => marks.sent.len(),
            Ok(Fence::Lost) => {
                self.fenced = true;
                0
            }
            Err(_) => {
                // Kept for another attempt: marking twice is harmless, but a lost mark causes a duplicate.
                self.unmarked.extend(marks);
                self.gave_up = self.stopping;
                0
            }
        }
    }

    /// Rows were claimed while nothing was in flight.
    pub(crate) fn claimed(&mut self, rows: Vec<Row>) {
        self.asleep &= rows.is_empty();
        self.backlog.extend(rows);
        self.stage = Stage::Cut;
    }

    /// Whether a claim could find anything.
    pub(crate) fn peeked(&mut self, found: bool) {
        // Either way the broker's connection is looked at.
        self.stage = if found { Stage::Fill } else { Stage::Cut };
    }

    /// The broker is connected.
    pub(crate) fn connected(&mut self) {
        if !self.window.is_empty() {
            self.stage = Stage::Send;
            return;
        }
        self.failures = 0;
        self.stage = if self.asleep { Stage::Idle } else { Stage::Ask };
    }

    /// The broker has answered for the window, and `claimed` is what the claim has found meanwhile; `None`: it failed.
    ///
    /// Returns the outcome of each row.
    ///
    /// # Errors
    /// `answer`'s, if it says nothing about any single row.
    pub(crate) fn published(
        &mut self,
        answer: Result<Vec<Verdict>, PublishError>,
        claimed: Option<Vec<Row>>,
        now: Instant,
    ) -> Result<Vec<Answered>, PublishError> {
        self.last_work = now;
        let verdicts = self.explain(answer)?;
        self.asleep = self.has_caught_up() && claimed.as_ref().is_some_and(Vec::is_empty);
        let window = std::mem::take(&mut self.window);
        self.suspect = self.suspect.filter(|last| window.iter().all(|row| row.id < *last));
        // Nothing has come since the writer was asked, so there is nothing to claim now.
        self.stage = if self.asleep { Stage::Cut } else { Stage::Fill };
        if verdicts.iter().any(|verdict| *verdict != Verdict::Confirmed) {
            self.backlog.clear();
            self.settling = true;
        } else if let Some(rows) = claimed {
            self.backlog.extend(rows);
            self.failures = 0;
        }
        Ok(window.into_iter().zip(verdicts).map(|(row, verdict)| self.judge(row, verdict)).collect())
    }

    /// Interprets the failure of a whole window: if the broker closed the channel because of some row, this window's rows are sent
    /// one by one; if it closed it because of a single row, that row has failed.
    fn explain(&mut self, answer: Result<Vec<Verdict>, PublishError>) -> Result<Vec<Verdict>, PublishError> {
        match answer {
            Err(error @ PublishError::ChannelClosed(_)) if self.window.len() == 1 => {
                Ok(vec![Verdict::Returned(error.to_string())])
            }
            Err(error @ PublishError::ChannelClosed(_)) => {
                self.suspect = self.window.iter().map(|row| row.id).max();
                Err(error)
            }
            // A missing exchange is not the fault of a row either: the next connection declares it.
            other => other,
        }
    }

    /// Records how the row must be marked.
    fn judge(&mut self, row: Row, verdict: Verdict) -> Answered {
        let seed = self.next_seed();
        let answered = verdict::judge(row, verdict, &self.options.retry, seed);
        match &answered.failure {
            None => self.unmarked.sent.push(answered.row.id),
            Some(failure) => self.unmarked.failed.push(failure.clone()),
        }
        answered
    }

    /// The next writer was asked to notify, or asking failed: then this publisher stays awake, and polls.
    pub(crate) fn asked(&mut self, done: bool) {
        self.asleep = done;
        self.stage = if done { Stage::Fill } else { Stage::Idle };
    }

    /// A writer has notified.
    pub(crate) fn woken(&mut self) {
        self.asleep = false;
        self.stage = Stage::Fill;
    }

    /// The time of [`Step::Sleep`] has passed.
    pub(crate) fn waited(&mut self) {
        let trusting = matches!(self.stage, Stage::Sleep { trusting: true, .. });
        // A writer that should have notified may have rolled back instead.
        self.stage = if trusting { Stage::Check } else { Stage::Peek };
    }

    /// Whether the next writer still has to notify.
    pub(crate) fn found(&mut self, asleep: bool) {
        self.asleep = asleep;
        self.stage = Stage::Fill;
    }

    /// The pause after a failure has passed.
    pub(crate) fn rested(&mut self) {
        self.stage = Stage::Fill;
    }

    /// A step has failed for this reason: the outcome of what was in flight is unknown, and the database is read again. Returns how long to
    /// wait before that.
    pub(crate) fn failed(&mut self, trouble: &Trouble, now: Instant) -> Duration {
        self.backlog.clear();
        self.window.clear();
        self.failures += 1;
        // After a failure, confirmed rows are marked before anything new is sent, or the two could drift apart.
        self.settling = self.in_doubt() > 0;
        let pause = trouble.pause(self.failures, self.next_seed());
        self.stage = Stage::Rest { until: now + pause };
        pause
    }
}
