use std::{fmt, str::FromStr};

use serde::Serialize;
use utoipa::ToSchema;

/// A way to reach a customer. Each has a queue of its own, so that one never holds up or repeats the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// A mail to the address of the order.
    Email,
    /// A message to the chat that the customer has linked.
    Telegram,
}

impl Channel {
    /// The name on the wire, in the database and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        self.choose("email", "telegram")
    }

    /// The queue with its events.
    pub(crate) fn queue(self) -> &'static str {
        self.choose("notification", "notification.telegram")
    }

    /// What belongs to this channel.
    pub(crate) fn choose<T>(self, email: T, telegram: T) -> T {
        match self {
            Self::Email => email,
            Self::Telegram => telegram,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Email, Self::Telegram].into_iter().find(|channel| channel.as_str() == text).ok_or(())
    }
}
