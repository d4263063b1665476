use std::time::Duration;

/// How a consumer works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long one attempt may take, from the beginning of the transaction to its commit. Then it is rolled back and tried again.
    pub time_limit: Duration,
    /// What becomes of messages that no handler is registered for.
    pub unknown: Unknown,
    /// How the trace of a message goes on.
    pub trace: Trace,
    /// How long the inbox knows a message; `None`: for ever. A duplicate that arrives later takes effect a second time, so keep
    /// them for longer than the outbox keeps sent rows, and longer than anybody waits before a dead letter is replayed.
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

/// What becomes of messages that no handler is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are acknowledged and counted: a subscription may be wider than what is handled today.
    Ignore,
    /// They go to the dead letters.
    Reject,
}

/// How the trace of a message goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The handling is part of the message's trace, below the span that published it.
    Child,
    /// The handling is a trace of its own, with a link to the span that published the message: for messages that are handled long
    /// after they were sent, or by very many consumers.
    Link,
}
