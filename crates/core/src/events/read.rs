//! How fields are read from events that are older or newer than the reader.

use serde::{Deserialize, Deserializer, de::Error};

use crate::{Currency, Email, Language};

/// An event may be older than a rule of [`Email`]'s `FromStr`; its order was accepted anyway.
pub(super) fn accepted_before<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Email, D::Error> {
    let text = String::deserialize(deserializer)?;
    Email::from_stored(&text).map_err(Error::custom)
}

/// The currency of events that are older than the field.
pub(super) fn first_currency() -> Currency {
    Currency::RUB
}

/// A language that this version does not support is as good as none.
pub(super) fn supported<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    let tag = Option::<String>::deserialize(deserializer)?;
    Ok(tag.as_deref().and_then(Language::of_tag))
}
