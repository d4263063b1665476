//! The migrations that have been applied to a schema.

/// The table in which `sea-orm-migration` keeps its history.
pub(super) const HISTORY: &str = "SELECT version FROM seaql_migrations";

/// The first of the `needed` migrations that is not among the `applied` ones; additional applied ones are fine.
pub(super) fn missing<'n>(needed: &'n [String], applied: &[String]) -> Option<&'n str> {
    needed.iter().find(|name| !applied.contains(name)).map(String::as_str)
}
