//! What the connections of a pool are to be like.

use super::options;
use crate::config::DatabaseUrl;

/// How many connections a service works with at most.
pub const MAX_CONNECTIONS: u32 = 10;

/// How many connections the process of a service holds at most: its pool's, and the one that readiness asks through. A start has
/// fewer for itself, before the pool is there.
pub const SERVICE_CONNECTIONS: u32 = MAX_CONNECTIONS + 1;

/// What a pool's sessions are like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PostgreSQL: the schema that they are in, and in no other.
    pub(super) schema: String,
    /// PostgreSQL: what is set on each.
    pub(super) session: Vec<(String, String)>,
    /// Whether a server that takes no writes will do.
    pub(super) any_server: bool,
    pub(super) connections: u32,
}

impl From<&str> for Settings {
    /// Those of a service with `schema`.
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
    /// Sets these on each PostgreSQL session, too.
    #[must_use]
    pub fn session(mut self, settings: &[(&str, &str)]) -> Self {
        self.session.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// Opens no more than `connections`.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    pub(super) fn of(&self, url: &DatabaseUrl) -> Self {
        Self { any_server: options::any_server(url), ..self.clone() }
    }
}
