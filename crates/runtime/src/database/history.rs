//! Which migrations a schema has had.

/// What `sea-orm-migration` keeps its history in.
pub(super) const HISTORY: &str = "SELECT version FROM seaql_migrations";

/// The first of the `needed` migrations that is not among the `applied`, which may be more.
pub(super) fn missing<'n>(needed: &'n [String], applied: &[String]) -> Option<&'n str> {
    needed.iter().find(|name| !applied.contains(name)).map(String::as_str)
}
