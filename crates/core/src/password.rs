//! A password's spelling. Keyboards and systems write one text in several ways: `é` is one character or two, a space may be
//! one that does not break. A password is compared in one spelling of all, that of RFC 8265.

use std::{borrow::Cow, ops::RangeInclusive};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// How many characters a new password has, in the spelling of [`spelled`].
pub const LENGTH: RangeInclusive<usize> = 8..=128;

/// The longest text that is looked at, in bytes: 128 characters, each with a few accents of its own.
const LONGEST_TEXT: usize = 4096;

/// The text as RFC 8265's OpaqueString profile compares it: every space is the ASCII one, and the rest is in NFC. Case, width
/// and compatibility characters stay as they are. A text that is too long for a password is not touched.
pub fn spelled(text: &str) -> Cow<'_, str> {
    if text.len() > LONGEST_TEXT || (!text.contains(is_other_space) && is_nfc(text)) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_other_space(c) { ' ' } else { c }).nfc().collect()
}

/// Whether a new password of this text has an acceptable length.
pub fn has_fitting_length(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && LENGTH.contains(&spelled(text).chars().count())
}

/// Unicode's space separators (Zs), but the ASCII one.
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
            // Not touched: compatibility characters, width, case, spaces at the ends.
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
