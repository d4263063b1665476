//! Texts that one person writes and others read: which characters they must not contain, so that they look like what they are.
//!
//! Based on RFC 8264's FreeformClass and Unicode Technical Standard 39, section 5.4.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use thiserror::Error;

/// The most marks on one letter. No language uses more, and more run into the lines above and below (UTS 39, section 5.4).
const MOST_MARKS: u32 = 4;

/// Why a text cannot be shown to people unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It contains nothing visible.
    #[error("there is nothing to read in it")]
    Blank,
    /// It contains a character that does not belong in a text: invisible, changing the direction of what follows, or without meaning.
    #[error("U+{:04X} does not belong in a text", u32::from(*.0))]
    Character(char),
    /// A mark without a letter, or one too many of them.
    #[error("there are too many marks on one letter, or marks without a letter")]
    Marks,
}

/// Checks a text of one line, such as a name.
///
/// # Errors
/// The first thing in it that people would not see, or that would mislead them.
pub fn check_line(text: &str) -> Result<(), Unreadable> {
    check(text, |_| false)?;
    if text.chars().any(is_seen) { Ok(()) } else { Err(Unreadable::Blank) }
}

/// Checks a text of several lines, separated by `\n`. It may be empty.
///
/// # Errors
/// As [`check_line`].
pub fn check_lines(text: &str) -> Result<(), Unreadable> {
    check(text, |c| c == '\n')
}

/// Removes what [`check_lines`] refuses from `text`, for showing texts that nobody has checked.
pub fn readable(text: &str) -> String {
    let mut before = None;
    let mut rest = text.chars().peekable();
    let mut readable = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        if c == '\n' || belongs(c) || is_joined(before, c, rest.peek().copied()) {
            readable.push(c);
            before = Some(c);
        }
    }
    readable
}

fn check(text: &str, may_be: impl Fn(char) -> bool) -> Result<(), Unreadable> {
    let mut before = None;
    let mut marks = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if !may_be(c) && !belongs(c) && !is_joined(before, c, rest.peek().copied()) {
            return Err(Unreadable::Character(c));
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks > MOST_MARKS
            || (marks > 0 && before.is_none_or(|before| category(before) == GeneralCategory::Control))
        {
            return Err(Unreadable::Marks);
        }
        before = Some(c);
    }
    Ok(())
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether `c` may appear anywhere in a text. Variation selectors are ignorable and allowed: they choose between two glyphs.
fn belongs(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned,
    };
    let is_selector = matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    match category(c) {
        Control | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned => false,
        // Signs for Arabic numbers, years and the like are format characters that are visible.
        Format => !is_ignorable(c) && !matches!(c, '\u{fff9}'..='\u{fffb}'),
        _ => is_selector || !is_ignorable(c),
    }
}

/// Characters that are invisible but needed between their neighbours: joiners in Persian, in the scripts of India and in emoji, and the tags that
/// select the country of a flag.
fn is_joined(before: Option<char>, c: char, after: Option<char>) -> bool {
    // Latin, Greek, Cyrillic and other scripts before Hebrew join nothing: there, a joiner makes two words that look the same.
    let joins = |neighbour: Option<char>| neighbour.is_some_and(|n| n >= '\u{590}' && is_seen_or_mark(n));
    match c {
        '\u{200c}' | '\u{200d}' => joins(before) && joins(after),
        '\u{e0020}'..='\u{e007f}' => matches!(before, Some('\u{1f3f4}' | '\u{e0020}'..='\u{e007e}')),
        _ => false,
    }
}

fn is_mark(c: char) -> bool {
    matches!(category(c), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

fn is_seen_or_mark(c: char) -> bool {
    is_seen(c) || (is_mark(c) && belongs(c))
}

/// Whether there is something to see. U+2800 is the Braille pattern without dots.
fn is_seen(c: char) -> bool {
    belongs(c) && !c.is_whitespace() && !is_mark(c) && c != '\u{2800}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_accepted() {
        for text in [
            "Кружка «Утро», 350 мл",
            "Morning Mug – 12 oz, №5 ½",
            "Tiếng Việt",
            "Tie\u{302}\u{301}ng Vie\u{323}\u{302}t",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "עברית",
            "בְּרֵאשִׁ֖ית",
            "ไทยที่นี่",
            "茶壺　カップ",
            "한국어",
            "👩\u{200d}💻 laptop",
            "❤\u{fe0f}\u{200d}🔥",
            "👍🏽 1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "葛\u{e0100}城",
            "a\u{a0}b",
        ] {
            assert_eq!(check_line(text), Ok(()), "{text}");
            assert_eq!(check_lines(text), Ok(()), "{text}");
        }
        assert_eq!(check_lines("one\n\ntwo"), Ok(()));
        assert_eq!(check_lines(""), Ok(()));
    }

    #[test]
    fn what_is_not_seen_or_misleads_is_refused() {
        for c in [
            '\0',
            '\t',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}', // controls
            '\u{61c}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{202e}', // directions
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}', // isolates
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{2060}',
            '\u{2061}',
            '\u{2064}',
            '\u{206a}',
            '\u{206f}',
            '\u{3164}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{1d173}', // invisible
            '\u{2028}',
            '\u{2029}', // lines
            '\u{e000}',
            '\u{f8ff}',
            '\u{f0000}',
            '\u{10fffd}', // private
            '\u{378}',
            '\u{fdd0}',
            '\u{fffe}',
            '\u{e01f0}',
            '\u{10ffff}', // nothing
            '\u{e0001}',
            '\u{e0041}',
            '\u{200c}',
            '\u{200d}', // out of their places
        ] {
            for text in [format!("Mug{c}"), format!("{c}Mug"), format!("M{c}ug")] {
                assert_eq!(check_line(&text), Err(Unreadable::Character(c)), "{text:?}");
                assert_eq!(check_lines(&text), Err(Unreadable::Character(c)), "{text:?}");
            }
        }
        for joined in
            ["при\u{200d}вет", "خ\u{200c}", "خ\u{200c}\u{200c}خ", "خ\u{200c} خ", "\u{200d}👩", "👩\u{200d}a"]
        {
            assert!(
                matches!(check_line(joined), Err(Unreadable::Character('\u{200c}' | '\u{200d}'))),
                "{joined:?}"
            );
        }
        assert_eq!(check_line("two\nlines"), Err(Unreadable::Character('\n')));
    }

    #[test]
    fn a_line_has_something_to_read_and_its_marks_stay_within_it() {
        for blank in ["", " ", "\u{2003}\u{3000}", "\u{2800}"] {
            assert_eq!(check_line(blank), Err(Unreadable::Blank), "{blank:?}");
        }
        let marks = |count: usize| format!("Z{}", "\u{335}".repeat(count));
        assert_eq!(check_line(&marks(4)), Ok(()));
        assert_eq!(check_line(&marks(5)), Err(Unreadable::Marks));
        assert_eq!(check_line("\u{301}a"), Err(Unreadable::Marks));
        assert_eq!(check_lines("a\n\u{301}"), Err(Unreadable::Marks));
        assert_eq!(Unreadable::Character('\u{202e}').to_string(), "U+202E does not belong in a text");
    }

    #[test]
    fn what_does_not_belong_into_a_text_is_left_out_of_it() {
        assert_eq!(readable("gpj.\u{202e}guM\u{feff}\n👩\u{200d}💻"), "gpj.guM\n👩\u{200d}💻");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_line_is_lines_too(text in "\\PC{0,20}|.{0,20}") {
            if check_line(&text).is_ok() {
                prop_assert_eq!(check_lines(&text), Ok(()));
            }
        }
    }
}
