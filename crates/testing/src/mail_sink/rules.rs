use std::time::Duration;

/// The command at which a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The sender, `MAIL FROM`.
    Sender,
    /// The recipient, `RCPT TO`.
    Recipient,
    /// The reply after the mail itself. By then a mail that is not refused has been kept.
    Taken,
}

/// What the server does instead of accepting at once.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) step: Step,
    /// The recipient; `None` for all.
    recipient: Option<String>,
    /// How often it still applies.
    times: usize,
    pub(super) pause: Duration,
    pub(super) reply: Option<&'static str>,
}

impl Rule {
    /// Replies at `step` with `reply`, such as `550 5.1.1 No such user`.
    pub fn refuse(step: Step, reply: &'static str) -> Self {
        Self { step, recipient: None, times: usize::MAX, pause: Duration::ZERO, reply: Some(reply) }
    }

    /// Replies at `step` only after `pause`.
    pub fn delay(step: Step, pause: Duration) -> Self {
        Self { step, recipient: None, times: usize::MAX, pause, reply: None }
    }

    /// Only for this recipient.
    #[must_use]
    pub fn of(mut self, recipient: &str) -> Self {
        self.recipient = Some(recipient.to_owned());
        self
    }

    /// Only the next `times` times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Whether it applies now, which counts.
    pub(super) fn applies(&mut self, step: Step, recipient: &str) -> bool {
        let is_meant = self.recipient.as_deref().is_none_or(|meant| meant == recipient);
        let applies = self.step == step && is_meant && self.times > 0;
        if applies {
            self.times -= 1;
        }
        applies
    }
}
