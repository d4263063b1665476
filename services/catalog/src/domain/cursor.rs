use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use shop_core::ProductId;
use thiserror::Error;

/// The first byte, so that another kind of cursor can be introduced later and told apart from this one.
const VERSION: u8 = 1;

/// A position in the list of products: directly after the product with this id.
///
/// Clients get it as opaque text, so that we can change how the list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) ProductId);

/// The text was not made by a [`Cursor`].
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the cursor was not issued by this list")]
pub(crate) struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [VERSION; 9];
        bytes[1..].copy_from_slice(&self.0.0.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        match bytes.split_first() {
            Some((&VERSION, id)) => {
                id.try_into().map(|id| Self(ProductId(i64::from_be_bytes(id)))).map_err(|_| InvalidCursor)
            }
            _ => Err(InvalidCursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor(ProductId(42));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "42", "AQ", "AgAAAAAAAAAq", "AQAAAAAAAAAqAA", "ы"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text:?}");
        }
    }
}
