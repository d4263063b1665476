//! The keys in Redis.

/// The list, as JSON. The specification names this key.
pub(super) const LIST: &str = "catalog:products";
/// Path and query of the next page, if there is one. The braces put it into the list's cluster slot.
pub(super) const NEXT: &str = "{catalog:products}:next";
/// The seal of both. Without a valid one, they were not written by a catalog.
pub(super) const SEAL: &str = "{catalog:products}:seal";
/// The token of the reader that may fill the list.
pub(super) const CLAIM: &str = "{catalog:products}:claim";
