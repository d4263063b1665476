//! The spelling of passwords. Keyboards and systems write the same text in several ways: `é` is one character or two, and a space may be
//! a non-breaking one. Passwords are compared in a single spelling, that of RFC 8265.

use std::{borrow::Cow, ops::RangeInclusive};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The allowed number of characters of a new password, in the spelling of [`spelled`].
pub const LENGTH: RangeInclusive<usize> = 8..=128;

/// The longest text that is processed, in bytes: 128 characters, each with several combining accents.
const LONGEST_TEXT: usize = 4096;

/// Converts a text as RFC 8265's OpaqueString profile does for comparison: every space becomes the ASCII one, and the rest is in NFC. Case, width
/// and compatibility characters are unchanged. A text that is too long for a password is returned unchanged.
pub fn spelled(text: &str) -> Cow<'_, str> {
    if text.len() > LONGEST_TEXT || (!text.contains(is_other_space) && is_nfc(text)) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_other_space(c) { ' ' } else { c }).nfc().collect()
}

/// Whether this text has an acceptable length for a new password.
pub fn has_fitting_length(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && LENGTH.contains(&spelled(text).chars().count())
}

/// Unicode's space separators (Zs), except the ASCII one.
fn is_other_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_password_has_one_spelling() {
        for (text, expected) in [
            ("caf\u{e9}", "caf\u{e9}"),
            ("cafe\u{301}", "caf\u{e9}"),
            // й and ё as macOS writes them in file names.
            ("и\u{306}е\u{308}", "йё"),
            // Hangul: the jamo of one syllable.
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            // Angstrom is A with a ring; accents have an order.
            ("\u{212b}", "\u{c5}"),
            ("q\u{307}\u{323}", "q\u{323}\u{307}"),
            ("a\u{a0}b\u{3000}c\u{2003}d", "a b c d"),
            // Unchanged: compatibility characters, width, case, spaces at the ends.
            ("ﬁ½²Ａ㍍", "ﬁ½²Ａ㍍"),
            ("  PassWord  ", "  PassWord  "),
        ] {
            assert_eq!(spelled(text), expected, "{text:?}");
        }
    }

    #[test]
    fn length_is_that_of_the_one_spelling() {
        assert!(has_fitting_length(&"e\u{301}".repeat(128)));
        assert!(!has_fitting_length(&"e\u{301}".repeat(129)));
        assert!(!has_fitting_length(&"e\u{301}".repeat(7)));
        assert!(!has_fitting_length(&format!("e{}", "\u{301}".repeat(3000))));
    }

    proptest! {
        #[test]
        fn spelling_again_changes_nothing(text in ".{0,200}") {
            let once = spelled(&text).into_owned();
            prop_assert_eq!(spelled(&once), once.as_str());
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(spelled(&decomposed), once.as_str());
        }
    }
}
