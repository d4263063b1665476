use std::time::Duration;

use crate::retry;

/// Why nothing is published, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The database is away, or refuses.
    #[error("the database: {0}")]
    Database(String),
    /// The database has no outbox: its tables do not exist, or not in this schema.
    #[error("the database: {0}")]
    NoOutbox(String),
    /// The broker is away, refuses, or does not answer.
    #[error("{0}")]
    Broker(String),
    /// These queues must exist at the broker before anything is published.
    #[error("nothing is published before these queues exist at the broker: {}", .0.join(", "))]
    QueuesMissing(Vec<String>),
    /// The broker still holds the connection of the previous publisher, which may have been this one; it ends by itself.
    #[error("{0}")]
    Predecessor(String),
    /// Another publisher is working on the same outbox: at the broker, or in the database.
    #[error("{0}")]
    Rival(String),
}

impl Trouble {
    /// How long to wait before the next attempt, after `failures` consecutive failures of which this is the last. `seed` chooses a share.
    pub(super) fn pause(&self, failures: u32, seed: u64) -> Duration {
        let longest = match self {
            // The other's connection ends soon, by itself or because of the broker's heartbeats.
            Self::Rival(_) | Self::Predecessor(_) => Duration::from_millis(500),
            Self::Database(_) | Self::NoOutbox(_) | Self::Broker(_) | Self::QueuesMissing(_) => {
                Duration::from_secs(5)
            }
        };
        retry::pause(Duration::from_millis(200), longest, failures, seed)
    }
}
