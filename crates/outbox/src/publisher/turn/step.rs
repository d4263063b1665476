//! What a [`Turn`](super::Turn) can ask for.

use std::time::{Duration, Instant};

use shop_messaging::Verdict;

use crate::store::{Failure, Marks, Row};

/// When a decision is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// The remaining time of the lease.
    pub(crate) lease: Duration,
}

/// What to do next, and which method of the turn takes the outcome. Failures go to `failed` instead.
#[derive(Debug)]
pub(crate) enum Step {
    /// Begin to mark this, and continue; `marked` takes the outcome later.
    Mark(Marks),
    /// Wait for the mark that was begun: `marked`.
    AwaitMark,
    /// Claim rows: `claimed`.
    Claim(Claim),
    /// Find out whether a claim could find anything, apart from these rows: `peeked`.
    Peek { except: Vec<i64> },
    /// Connect to the broker, if it is not connected: `connected`.
    Connect { within: Duration },
    /// Publish `window`, and claim more meanwhile: `published`.
    Publish { within: Duration, look: Look },
    /// Ask the next writer to notify: `asked`.
    AskToBeWoken,
    /// Wait for a notification, `woken`, or until this time, `waited`; or until the mark has ended.
    Sleep { until: Instant },
    /// Find out whether the next writer still has to notify: `found`.
    CheckAsleep,
    /// Wait after a failure: `rested`.
    Rest { until: Instant },
    /// Nothing more is to be done under this lease.
    End(End),
}

/// Which rows to claim: the oldest, at most `count` and `bytes` of payload, none of `except`.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    pub(crate) except: Vec<i64>,
}

/// What to do while a window is in flight.
#[derive(Debug)]
pub(crate) struct Look {
    /// Whether to ask the next writer to notify, before the claim.
    pub(crate) ask_to_be_woken: bool,
    /// `None`: enough rows are waiting.
    pub(crate) claim: Option<Claim>,
}

/// Why a leader's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is stopping, and everything confirmed is marked, or could not be.
    Stopped,
    /// Another publisher has taken over, or may have.
    Fenced,
}

/// A row that the broker has answered for.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) row: Row,
    pub(crate) verdict: Verdict,
    /// How it will be marked, if it was not accepted.
    pub(crate) failure: Option<Failure>,
}
