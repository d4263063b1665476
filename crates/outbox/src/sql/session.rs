//! What is set on the sessions of a pool that the store makes itself (PostgreSQL).

/// Sets each of the settings `$1` to the value of the same place in `$2`, for the session.
pub(crate) const SET: &str =
    "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS settings (name, value)";
