//! The settings of a pool's connections.

use super::options;
use crate::config::DatabaseUrl;

/// The maximum number of connections in a service's pool.
pub const MAX_CONNECTIONS: u32 = 10;

/// The maximum number of connections of a service's process: its pool's, and the one for readiness. A start uses
/// fewer, before there is a pool.
pub const SERVICE_CONNECTIONS: u32 = MAX_CONNECTIONS + 1;

/// The settings of a pool's sessions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PostgreSQL: the only schema that they use.
    pub(super) schema: String,
    /// PostgreSQL: the configuration parameters of each.
    pub(super) session: Vec<(String, String)>,
    /// Whether a server that accepts no writes is acceptable.
    pub(super) any_server: bool,
    pub(super) connections: u32,
}

impl From<&str> for Settings {
    /// The settings of a service with `schema`.
    fn from(schema: &str) -> Self {
        let limits = [
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ];
        Self {
            schema: schema.to_owned(),
            session: limits.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            any_server: false,
            connections: MAX_CONNECTIONS,
        }
    }
}

impl From<&String> for Settings {
    fn from(schema: &String) -> Self {
        Self::from(schema.as_str())
    }
}

impl Settings {
    /// Also sets these on each PostgreSQL session.
    #[must_use]
    pub fn session(mut self, settings: &[(&str, &str)]) -> Self {
        self.session.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// Opens at most `connections`.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    pub(super) fn of(&self, url: &DatabaseUrl) -> Self {
        Self { any_server: options::any_server(url), ..self.clone() }
    }
}
