//! What can happen to a leader, and what follows from it.

use std::time::{Duration, Instant};

use shop_messaging::{PublishError, Verdict};

use super::{Stage, Turn, step::Answered, verdict};
use crate::{
    publisher::trouble::Trouble,
    store::{Fence, Row},
};

impl Turn {
    /// The process is to stop: what is confirmed is marked, and nothing more goes out.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// The mark has ended. Returns how many rows are now marked as sent.
    pub(crate) fn marked<E>(&mut self, outcome: &Result<Fence, E>) -> usize {
        let Some(marks) = self.marking.take() else { return 0 };
        if let Stage::Sleep { .. } = self.stage {
            self.stage = Stage::Fill;
        }
        match outcome {
            Ok(Fence::Holds) => marks.sent.len(),
            Ok(Fence::Lost) => {
                self.fenced = true;
                0
            }
            Err(_) => {
                // Kept for another try: a mark that is made twice does no harm, one that is lost duplicates.
                self.unmarked.extend(marks);
                self.gave_up = self.stopping;
                0
            }
        }
    }

    /// Rows were claimed while nothing was on its way.
    pub(crate) fn claimed(&mut self, rows: Vec<Row>) {
        self.asleep &= rows.is_empty();
        self.backlog.extend(rows);
        self.stage = Stage::Cut;
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

    /// The broker has answered for the window, and `claimed` is what the look has found meanwhile; `None`: it failed.
    ///
    /// Returns what became of each row.
    ///
    /// # Errors
    /// `answer`'s, if it says nothing of any single row.
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
        self.stage = Stage::Fill;
        if verdicts.iter().any(|verdict| *verdict != Verdict::Confirmed) {
            self.backlog.clear();
            self.settling = true;
        } else if let Some(rows) = claimed {
            self.backlog.extend(rows);
            self.failures = 0;
        }
        Ok(window.into_iter().zip(verdicts).map(|(row, verdict)| self.judge(row, verdict)).collect())
    }

    /// What failed as a whole, made sense of: when the broker closed the channel because of some row, the rows of this window go out
    /// one by one; when it closed it because of a single row, that row has failed.
    fn explain(&mut self, answer: Result<Vec<Verdict>, PublishError>) -> Result<Vec<Verdict>, PublishError> {
        match answer {
            Err(error @ PublishError::ChannelClosed(_)) if self.window.len() == 1 => {
                Ok(vec![Verdict::Returned(error.to_string())])
            }
            Err(error @ PublishError::ChannelClosed(_)) => {
                self.suspect = self.window.iter().map(|row| row.id).max();
                Err(error)
            }
            // A missing exchange, too, is no row's fault: the next connection declares it.
            other => other,
        }
    }

    /// Notes how the row is to be marked.
    fn judge(&mut self, row: Row, verdict: Verdict) -> Answered {
        let seed = self.next_seed();
        let answered = verdict::judge(row, verdict, &self.options.retry, seed);
        match &answered.failure {
            None => self.unmarked.sent.push(answered.row.id),
            Some(failure) => self.unmarked.failed.push(failure.clone()),
        }
        answered
    }

    /// The next writer was asked to notify, or could not be: then this one stays awake, and polls.
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
        // A writer that was to notify may have rolled back instead.
        self.stage = if trusting { Stage::Check } else { Stage::Fill };
    }

    /// Whether the next writer still is to notify.
    pub(crate) fn found(&mut self, asleep: bool) {
        self.asleep = asleep;
        self.stage = Stage::Fill;
    }

    /// The pause after a failure has passed.
    pub(crate) fn rested(&mut self) {
        self.stage = Stage::Fill;
    }

    /// A step has failed for this reason: what was on its way is in doubt, and the database will be asked again. Returns how long to
    /// wait before that.
    pub(crate) fn failed(&mut self, trouble: &Trouble, now: Instant) -> Duration {
        self.backlog.clear();
        self.window.clear();
        self.failures += 1;
        // In trouble nothing new goes out before what is confirmed is marked, or the two could grow apart.
        self.settling = self.in_doubt() > 0;
        let pause = trouble.pause(self.failures, self.next_seed());
        self.stage = Stage::Rest { until: now + pause };
        pause
    }
}
