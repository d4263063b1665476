//! Decides who is the leader, from what was observed and when: without I/O, clock or randomness.
//!
//! The rules are client-go's (k8s.io/client-go/tools/leaderelection). Whether a holder is still alive is judged only
//! by when this process last saw the record change; what the record says of time is compared, never believed. Every
//! write is a compare-and-swap on what was read. Beyond client-go: a leader that loses its tenure goes on as a follower, a follower looks again
//! exactly when the holder's time is over, hints from a watch bring looks forward, and a Lease that disappears under
//! a living leader is not up for grabs to those who knew that leader.

use std::time::Duration;

use super::timing::{JITTER, Settings};

/// How many reads hints may bring forward between two scheduled ones: a flapping Lease must not cause a storm of requests.
const EARLY_LOOKS: u8 = 5;

/// Writes per round: after one conflict it reads again at once, after a second one it waits.
const WRITES_PER_ROUND: u8 = 2;

/// Local time on a clock that counts suspension, and a random number in 0..1 for what is decided at that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) chance: f64,
}

/// The content of a Lease. Its times are only compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Empty: no holder.
    pub(super) holder: String,
    pub(super) seconds: Option<i32>,
    pub(super) transitions: i32,
    pub(super) acquired: Option<i64>,
    pub(super) renewed: Option<i64>,
}

/// A record and the `resourceVersion` that it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) version: String,
    pub(super) record: Record,
}

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Look,
    Write(Write),
}

/// A record to write; it is renewed now, and acquired now unless `keep_acquired`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The version to replace; `None`: create.
    pub(super) over: Option<String>,
    pub(super) holder: String,
    pub(super) seconds: i32,
    pub(super) transitions: i32,
    pub(super) keep_acquired: bool,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The current record, read or just written.
    Found(Found),
    /// There is no Lease.
    Missing,
    /// A conflict: the record has changed, or exists by now.
    Conflict,
    /// Refused, or with an unknown outcome.
    Failed,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Ask(Request),
    /// Wait until this time, unless something happens.
    Rest(Duration),
    /// Stopped, and no longer the holder.
    Done,
}

/// The right to be the leader; it counts from when its last renewal was asked for. A tenure that was lost and won again has another
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) number: u64,
    pub(super) asked: Duration,
}

/// What is known about the Lease.
#[derive(Clone, Debug)]
struct Seen {
    record: Record,
    /// `None`: deleted since; its holder's time still counts.
    version: Option<String>,
    /// When this process first knew of the record's last change.
    since: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    RoundAt(Duration),
    Look,
    Write,
}

/// One candidate.
#[derive(Debug)]
pub(super) struct Core {
    identity: String,
    settings: Settings,
    seen: Option<Seen>,
    /// What the watch last reported, and when. It is only a hint, because it may be late.
    hint: Option<(Option<Record>, Duration)>,
    /// Whether the hint arrived after the last read was requested.
    hint_is_news: bool,
    tenure: Option<Tenure>,
    /// The number of the last one.
    tenures: u64,
    next: Next,
    /// When the current round began.
    round: Duration,
    writes: u8,
    early: u8,
    asked: Option<(Request, Duration)>,
    /// Whether the outcome of one of our writes is unknown.
    uncertain: bool,
    stopping: bool,
}

impl Core {
    pub(super) fn new(identity: String, settings: Settings) -> Self {
        Self {
            identity,
            settings,
            seen: None,
            hint: None,
            hint_is_news: false,
            tenure: None,
            tenures: 0,
            next: Next::RoundAt(Duration::ZERO),
            round: Duration::ZERO,
            writes: 0,
            early: EARLY_LOOKS,
            asked: None,
            uncertain: false,
            stopping: false,
        }
    }

    /// The tenure at `now`, if this is the leader.
    pub(super) fn tenure(&self, now: Duration) -> Option<Tenure> {
        self.tenure.filter(|_| self.tenure_ends().is_some_and(|end| now < end))
    }

    /// How long a tenure lasts after it was last asked for.
    pub(super) fn tenure_lasts(&self) -> Duration {
        self.settings.renew_deadline
    }

    /// When the tenure ends unless it is renewed.
    pub(super) fn tenure_ends(&self) -> Option<Duration> {
        Some(self.tenure?.asked + self.tenure_lasts())
    }

    /// The leader, if known.
    pub(super) fn holder(&self, now: Duration) -> Option<&str> {
        let seen = self.seen.as_ref().filter(|seen| seen.version.is_some())?;
        let holder = seen.record.holder.as_str();
        let unsure = holder == self.identity && self.tenure(now).is_none();
        (!holder.is_empty() && !unsure).then_some(holder)
    }

    /// Ends the tenure; [`Core::step`] says how to give the Lease back. The work must have ended before.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.tenure = None;
        self.writes = 0;
        self.next = if self.uncertain { Next::Look } else { Next::Write };
    }

    pub(super) fn step(&mut self, at: Moment) -> Step {
        self.tenure = self.tenure(at.now);
        if self.asked.is_some() {
            return Step::Rest(Duration::MAX);
        }
        if let Next::RoundAt(due) = self.next {
            if at.now < due {
                return Step::Rest(due);
            }
            self.early = EARLY_LOOKS;
            self.begin_round(at.now);
        }
        let request = if self.next == Next::Write {
            match self.write(at.now) {
                Some(write) => Request::Write(write),
                None if self.stopping => return Step::Done,
                None => {
                    self.rest(at);
                    return self.step(at);
                }
            }
        } else {
            self.hint_is_news = false;
            Request::Look
        };
        self.asked = Some((request.clone(), at.now));
        Step::Ask(request)
    }

    /// Processes the answer to the last request of [`Core::step`].
    pub(super) fn answer(&mut self, answer: Answer, at: Moment) {
        self.tenure = self.tenure(at.now);
        let Some((request, asked)) = self.asked.take() else { return };
        let written = matches!(request, Request::Write(_));
        match answer {
            Answer::Found(found) => {
                let ours = found.record.holder == self.identity;
                self.observe(found, at.now);
                self.uncertain = false;
                if !ours {
                    self.tenure = None;
                }
                if !written || self.stopping {
                    self.next = Next::Write;
                } else {
                    if ours {
                        self.won(asked);
                    }
                    self.rest(at);
                }
            }
            Answer::Missing | Answer::Conflict if written => {
                self.writes += 1;
                self.next = Next::Look;
                if self.writes >= WRITES_PER_ROUND {
                    self.rest(at);
                }
            }
            Answer::Missing => {
                if let Some(seen) = &mut self.seen {
                    seen.version = None;
                }
                self.uncertain = false;
                self.next = Next::Write;
            }
            Answer::Conflict | Answer::Failed => {
                self.uncertain |= written;
                self.rest(at);
            }
        }
    }

    /// Processes a report of the watch: an earlier state of the Lease, or its deletion.
    pub(super) fn hint(&mut self, record: Option<Record>, now: Duration) {
        if !self.hint.as_ref().is_some_and(|(known, _)| *known == record) {
            self.hint = Some((record, now));
            self.hint_is_news = true;
        }
        if matches!(self.next, Next::RoundAt(_)) && self.asked.is_none() {
            self.look_early(now);
        }
    }

    /// Whether the last hint names a different holder.
    fn is_contradicted(&self) -> bool {
        let Some((hint, _)) = &self.hint else { return false };
        let known = self.seen.as_ref().filter(|seen| seen.version.is_some());
        hint.as_ref().map(|record| &record.holder) != known.map(|seen| &seen.record.holder)
    }

    fn look_early(&mut self, now: Duration) {
        if !self.stopping && self.early > 0 && self.hint_is_news && self.is_contradicted() {
            self.early -= 1;
            self.begin_round(now);
            self.next = Next::Look;
        }
    }

    /// A leader replaces what it wrote last; everybody else reads first.
    fn begin_round(&mut self, now: Duration) {
        self.round = now;
        self.writes = 0;
        self.next = if self.tenure.is_some() || self.stopping { Next::Write } else { Next::Look };
        if self.uncertain && self.stopping {
            self.next = Next::Look;
        }
    }

    fn observe(&mut self, found: Found, now: Duration) {
        let same = |seen: &Seen| seen.version.is_some() && seen.record == found.record;
        let since = match (&self.seen, &self.hint) {
            (Some(seen), _) if same(seen) => seen.since,
            // The watch has reported exactly this, so it has been like this since then at the latest.
            (_, Some((Some(reported), at))) if *reported == found.record => *at,
            _ => now,
        };
        self.seen = Some(Seen { record: found.record, version: Some(found.version), since });
    }

    fn won(&mut self, asked: Duration) {
        let number = self.tenure.map_or(self.tenures + 1, |tenure| tenure.number);
        // If the answer took longer than a tenure lasts, it has ended already: see `Core::tenure`.
        self.tenure = Some(Tenure { number, asked });
        self.tenures = number;
    }

    /// What to write now: `None` if somebody else holds the Lease (or, when stopping, if it is not ours).
    fn write(&self, now: Duration) -> Option<Write> {
        let mut write = Write {
            over: None,
            holder: self.identity.clone(),
            seconds: self.settings.seconds(),
            transitions: 0,
            keep_acquired: false,
        };
        let Some(seen) = &self.seen else { return (!self.stopping).then_some(write) };
        let ours = seen.record.holder == self.identity;
        if self.stopping {
            write.over = Some(seen.version.clone().filter(|_| ours)?);
            write.transitions = seen.record.transitions;
            // As client-go does, so that even who ignores an empty holder waits no longer than it must.
            (write.holder, write.seconds) = (String::new(), 1);
            return Some(write);
        }
        if !ours && self.taken_until(seen).is_some_and(|end| now < end) {
            return None;
        }
        if let Some(version) = &seen.version {
            write.over = Some(version.clone());
            write.keep_acquired = ours;
            write.transitions = seen.record.transitions.saturating_add(i32::from(!ours)).max(0);
        }
        Some(write)
    }

    /// When its holder's time is over; `None` without a holder.
    fn taken_until(&self, seen: &Seen) -> Option<Duration> {
        let taken = !seen.record.holder.is_empty();
        taken.then(|| seen.since + self.settings.patience(seen.record.seconds))
    }

    /// Ends the round and sets the time of the next.
    fn rest(&mut self, at: Moment) {
        let period = self.settings.retry_period;
        if self.stopping {
            // There is little time; the runner bounds how often.
            self.next = Next::RoundAt(at.now + period / 8);
            return;
        }
        let mut due = self.round + period;
        if self.tenure.is_none() {
            due = self.round + period.mul_f64(1.0 + (JITTER - 1.0) * at.chance);
            let end = self.seen.as_ref().and_then(|seen| self.taken_until(seen));
            if let Some(end) = end.filter(|end| *end > at.now) {
                due = due.min(end);
            }
        }
        self.next = Next::RoundAt(due);
        // Told while something else was asked.
        self.look_early(at.now);
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
