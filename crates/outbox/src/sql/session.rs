//! The settings for sessions of a pool that the store creates itself (PostgreSQL).

/// Sets each of the settings `$1` to the value at the same position in `$2`, for the session.
pub(crate) const SET: &str =
    "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS settings (name, value)";
