//! Every statement of the outbox and of the inbox, once and by name, for PostgreSQL and for SQLite.
//!
//! Parameters have the same numbers in both. Lists and durations are bound as each database takes them (see
//! [`Query`](crate::store::Query)): PostgreSQL has arrays and intervals, SQLite gets JSON and modifiers for its time functions.
//! Times are compared by the database's clock, never by ours. SQLite stores them as text, all in the one format that sorts by time.

pub(crate) mod append;
pub(crate) mod claim;
pub(crate) mod inbox;
pub(crate) mod lease;
pub(crate) mod mark;
pub(crate) mod operate;
pub(crate) mod retire;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod sleep;
pub(crate) mod survey;

/// A statement in both dialects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub(crate) postgres: &'static str,
    #[cfg_attr(
        not(any(feature = "sea-orm", feature = "sqlite")),
        expect(dead_code, reason = "without either there is PostgreSQL alone")
    )]
    pub(crate) sqlite: &'static str,
}

impl Sql {
    /// One text that both accept.
    pub(crate) const fn same(sql: &'static str) -> Self {
        Self { postgres: sql, sqlite: sql }
    }
}
