//! Why an object has no plan.

/// What to fix, for the object's author. Never contains a Secret's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("spec.{field}: {rule}")]
    Spec { field: &'static str, rule: String },
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    #[error("{field}: there is no Secret {secret:?} in this namespace; create it")]
    NoSecret { field: &'static str, secret: String },
    #[error(
        "{field}: the controller may not read the Secret {secret:?}; add it to the Role of the controller"
    )]
    Forbidden { field: &'static str, secret: String },
    #[error("{field}: the Secret {secret:?} cannot be looked up: {why}")]
    Unknown { field: &'static str, secret: String, why: String },
    #[error(
        "{field}: the Secret {secret:?} has no key {key:?}, it has {has}; add it or name another in {field}.key"
    )]
    NoKey { field: &'static str, secret: String, key: String, has: String },
    #[error("{field}: the key {key:?} of the Secret {secret:?} holds no usable address: {why}")]
    Address { field: &'static str, secret: String, key: String, why: String },
}

impl Problem {
    /// Whether it may be over in a moment, and so is no reason to stop a publisher that is at work: a Secret that is being
    /// replaced is away for a while.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::NoSecret { .. } | Self::Forbidden { .. } | Self::Unknown { .. })
    }

    /// The reason of the condition and of the Event.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } | Self::Unreadable(_) => "InvalidSpec",
            Self::NoSecret { .. } => "SecretNotFound",
            Self::Forbidden { .. } => "SecretForbidden",
            Self::Unknown { .. } => "SecretUnavailable",
            Self::NoKey { .. } => "SecretKeyNotFound",
            Self::Address { .. } => "InvalidAddress",
        }
    }
}
