use std::time::Duration;

/// How a consumer works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long one attempt may take, from the beginning of the transaction to its commit. After that it is rolled back and retried.
    pub time_limit: Duration,
    /// What happens to messages without a handler.
    pub unknown: Unknown,
    /// How a message's trace is continued.
    pub trace: Trace,
    /// How long the inbox remembers a message; `None`: forever. A duplicate that arrives later takes effect a second time, so keep
    /// messages for longer than the outbox keeps sent rows, and longer than anybody waits before replaying a dead letter.
    pub retention: Option<Duration>,
}

impl Default for Options {
    /// 30 seconds for an attempt, unknown events are ignored, the trace is continued, 30 days in the inbox.
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(30),
            unknown: Unknown::Ignore,
            trace: Trace::Child,
            retention: Some(Duration::from_secs(30 * 24 * 3600)),
        }
    }
}

/// What happens to messages without a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are acknowledged and counted: a subscription may be wider than the current handlers.
    Ignore,
    /// They go to the dead letters.
    Reject,
}

/// How a message's trace is continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The handling is part of the message's trace, below the span that published it.
    Child,
    /// The handling is a new trace, with a link to the span that published the message: for messages that are handled long
    /// after they were sent, or by very many consumers.
    Link,
}
