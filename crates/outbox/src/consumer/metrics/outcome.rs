/// The label for messages without a handler: their own type is untrusted text.
pub(crate) const UNKNOWN: &str = "unknown";

/// How an attempt to handle a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Handled,
    Duplicate,
    Ignored,
    Retried,
    Dead,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Retried => "retried",
            Self::Dead => "dead",
        }
    }
}
