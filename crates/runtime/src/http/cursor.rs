//! Cursors of lists that are ordered by a UUID.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

/// The text with which a client asks for the page after the one that ends with `last`. Opaque: clients only send it back.
pub fn after(last: Uuid) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last)
}

/// Where a page begins; `None` for a text that was not made by [`after`].
pub fn read(cursor: &str) -> Option<Uuid> {
    Uuid::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_not() {
        let id = Uuid::from_u128(7);
        assert_eq!(read(&after(id)), Some(id));
        for text in ["", "x", "ы", &"A".repeat(500), "00000000-0000-0000-0000-000000000007"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
