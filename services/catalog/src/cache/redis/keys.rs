//! Where things are in Redis.

/// The list, as JSON. The specification names this key.
pub(super) const LIST: &str = "catalog:products";
/// Path and query of the page behind the list, when there is one. The braces put it into the list's cluster slot.
pub(super) const NEXT: &str = "{catalog:products}:next";
/// The seal of both: what has none that fits was not put there by a catalog.
pub(super) const SEAL: &str = "{catalog:products}:seal";
/// The token of the reader that may fill the list.
pub(super) const CLAIM: &str = "{catalog:products}:claim";
