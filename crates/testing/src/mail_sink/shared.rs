use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::rules::{Rule, Step};

/// A mail that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipient of the envelope.
    pub to: String,
    /// The mail as it was sent, with its headers.
    pub content: String,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// The user who had logged in.
    pub user: Option<String>,
}

impl Mail {
    /// A header's value, unfolded but not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.content.split_once("\r\n\r\n")?;
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = unfolded.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }
}

/// Shared by the protocol's side and the test's side.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Counts changes, for tasks that wait for one.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mails: Vec<Mail>,
    pub(super) rules: Vec<Rule>,
    pub(super) login: Option<(String, String)>,
    /// Of each recipient.
    pub(super) attempts: HashMap<String, usize>,
    pub(super) connections: usize,
}

impl State {
    /// How long to wait at `step`, and what to reply instead of accepting.
    pub(super) fn judge(&mut self, step: Step, recipient: &str) -> (Duration, Option<&'static str>) {
        let rule = self.rules.iter_mut().find_map(|rule| rule.applies(step, recipient).then_some(rule));
        rule.map_or((Duration::ZERO, None), |rule| (rule.pause, rule.reply))
    }
}

impl Shared {
    /// Without waking tasks that wait for a change.
    pub(super) fn quietly<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes tasks that wait for a change.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let outcome = self.quietly(act);
        self.changes.send_modify(|changes| *changes += 1);
        outcome
    }

    /// The number of changes so far, for tasks that wait for the next.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
