use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// One log line per period for things that may happen a thousand times a second: a refusal, a dependency that is away.
///
/// ```
/// # use shop_runtime::Periodically;
/// static REFUSED: Periodically = Periodically::line();
///
/// if let Some(count) = REFUSED.due() {
///     tracing::warn!(count, "logins were refused: too many wrong passwords");
/// }
/// ```
///
/// A metric counts every occurrence; the line only says that there is something to look at.
#[derive(Debug)]
pub struct Periodically {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Periodically {
    /// At most one line per ten seconds.
    pub const fn line() -> Self {
        Self::new(Duration::from_secs(10))
    }

    /// At most one line per `period`.
    pub const fn new(period: Duration) -> Self {
        Self { period, state: Mutex::new(State { told: None, untold: 0 }) }
    }

    /// Counts an occurrence. Returns `Some` if a line is due: the number of occurrences since the last line, including this one.
    pub fn due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        let now = Instant::now();
        if state.told.is_some_and(|told| now < told + self.period) {
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_once_a_period() {
        let lines = Periodically::new(Duration::from_millis(500));
        assert_eq!(lines.due(), Some(1));
        for _ in 0..2494 {
            assert_eq!(lines.due(), None);
        }
        std::thread::sleep(lines.period);
        assert_eq!(lines.due(), Some(2495));
        assert_eq!(lines.due(), None);
    }
}
