use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

/// A consumer's progress, for readiness and for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The queue exists and messages can arrive. Of an ordered queue's consumers, all are connected and one is active.
    pub connected: bool,
    /// When the last message was handled.
    pub last_handled: Option<Instant>,
    /// Why no messages can arrive, and since when.
    pub disconnected: Option<Trouble>,
    /// Why the last attempt failed, and since when no attempt has succeeded.
    pub failing: Option<Trouble>,
}

/// A problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// When it was last noticed.
    pub last: Instant,
    /// The latest error.
    pub error: String,
}

/// Why a consumer is stuck.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Stuck {
    /// The broker is away, or refuses.
    #[error("not consuming for {0:.0?}: {1}")]
    Disconnected(Duration, String),
    /// Every message fails.
    #[error("no message could be handled for {0:.0?}: {1}")]
    Failing(Duration, String),
}

impl Progress {
    /// Nothing has happened yet.
    pub(super) fn begun(now: Instant) -> Self {
        let disconnected = Trouble { since: now, last: now, error: "not connected yet".to_owned() };
        Self { connected: false, last_handled: None, disconnected: Some(disconnected), failing: None }
    }

    /// Fails if the consumer has been trying without success for longer than `patience`, which should be longer than an attempt
    /// and the pause after it (a minute, by default). An idle consumer is fine.
    ///
    /// # Errors
    /// What is wrong, and for how long.
    pub fn check(&self, patience: Duration) -> Result<(), Stuck> {
        self.check_at(Instant::now(), patience)
    }

    fn check_at(&self, now: Instant, patience: Duration) -> Result<(), Stuck> {
        if let Some(Trouble { since, error, .. }) = &self.disconnected
            && now - *since > patience
        {
            return Err(Stuck::Disconnected(now - *since, error.clone()));
        }
        if let Some(Trouble { since, last, error }) = &self.failing
            && now - *since > patience
            && now - *last <= patience
        {
            return Err(Stuck::Failing(now - *since, error.clone()));
        }
        Ok(())
    }

    pub(super) fn connected(&mut self) {
        self.connected = true;
        self.disconnected = None;
    }

    pub(super) fn disconnected(&mut self, now: Instant, error: &str) {
        self.connected = false;
        note(&mut self.disconnected, now, error);
    }

    pub(super) fn handled(&mut self, now: Instant) {
        self.last_handled = Some(now);
        self.failing = None;
    }

    pub(super) fn failed(&mut self, now: Instant, error: &str) {
        note(&mut self.failing, now, error);
    }
}

/// A problem begins with its first error.
fn note(trouble: &mut Option<Trouble>, now: Instant, error: &str) {
    let since = trouble.as_ref().map_or(now, |trouble| trouble.since);
    *trouble = Some(Trouble { since, last: now, error: error.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_consumer_that_cannot_connect_is_stuck_after_a_while() {
        let start = Instant::now();
        let mut progress = Progress::begun(start);
        assert_eq!(progress.check_at(start + PATIENCE, PATIENCE), Ok(()));
        let later = start + PATIENCE * 2;
        progress.disconnected(later, "connection refused");
        let stuck = progress.check_at(later, PATIENCE).unwrap_err();
        assert_eq!(stuck.to_string(), "not consuming for 120s: connection refused");
        progress.connected();
        assert_eq!(progress.check_at(later, PATIENCE), Ok(()));
    }

    #[test]
    fn a_consumer_is_stuck_while_nothing_succeeds_and_not_because_of_one_message() {
        let mut now = Instant::now();
        let mut progress = Progress::begun(now);
        progress.connected();
        for _ in 0..3 {
            progress.failed(now, "this one");
            now += PATIENCE - SECOND;
            assert_eq!(progress.check_at(now, PATIENCE), Ok(()));
            progress.handled(now);
        }
        progress.failed(now, "the first error");
        now += PATIENCE + SECOND;
        progress.failed(now, "the latest error");
        let stuck = progress.check_at(now, PATIENCE).unwrap_err();
        assert_eq!(stuck.to_string(), "no message could be handled for 61s: the latest error");
        now += PATIENCE + SECOND;
        assert_eq!(progress.check_at(now, PATIENCE), Ok(()), "it was set aside, and there is nothing else");
        progress.failed(now, "again");
        assert!(progress.check_at(now, PATIENCE).is_err());
        progress.handled(now);
        assert_eq!(progress.check_at(now, PATIENCE), Ok(()));
    }

    #[test]
    fn an_idle_consumer_is_not_stuck() {
        let start = Instant::now();
        let mut progress = Progress::begun(start);
        progress.connected();
        assert_eq!(progress.check_at(start + PATIENCE * 100, PATIENCE), Ok(()));
    }
}
