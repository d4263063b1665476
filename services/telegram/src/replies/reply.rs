//! What messages are made of.

use teloxide::{
    types::{InlineKeyboardButton, InlineKeyboardMarkup},
    utils::html,
};

use crate::press::Press;

/// A message of the bot, with the buttons under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// At most 4096 UTF-16 units without its markup.
    pub(crate) text: String,
    pub(crate) keyboard: Option<InlineKeyboardMarkup>,
}

impl Reply {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), keyboard: None }
    }

    /// Adds a row of buttons; an empty row is left out.
    pub(super) fn row(mut self, buttons: impl IntoIterator<Item = InlineKeyboardButton>) -> Self {
        let row: Vec<_> = buttons.into_iter().collect();
        if !row.is_empty() {
            self.keyboard = Some(self.keyboard.unwrap_or_default().append_row(row));
        }
        self
    }
}

pub(super) fn button(label: impl Into<String>, press: &Press) -> InlineKeyboardButton {
    InlineKeyboardButton::callback(label, press.encode())
}

/// Text from elsewhere, for a message: escaped, and at most `units` UTF-16 units long, which is how Telegram counts.
pub(super) fn shown(text: &str, units: usize) -> String {
    html::escape(&clipped(text, units))
}

/// Text from elsewhere, for a button, where nothing is markup.
pub(super) fn clipped(text: &str, units: usize) -> String {
    let one_line: String =
        text.trim().chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    // Characters that hide text or reverse its direction would affect the whole message.
    let visible = shop_core::text::readable(&one_line);
    let mut clipped = String::new();
    let mut left = units;
    for character in visible.chars() {
        match left.checked_sub(character.len_utf16()) {
            // The last unit is kept for the ellipsis.
            Some(rest) if rest > 0 => left = rest,
            _ => return clipped + "…",
        }
        clipped.push(character);
    }
    clipped
}

/// Buttons to the previous and the next page, if there are such pages.
pub(super) fn page_buttons(
    page: usize,
    more: bool,
    to: impl Fn(usize) -> Press,
) -> impl Iterator<Item = InlineKeyboardButton> {
    let back = page.checked_sub(1).map(|back| button("◀️", &to(back)));
    let on = (more && page < crate::press::MAX_PAGE).then(|| button("▶️", &to(page + 1)));
    back.into_iter().chain(on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_elsewhere_are_escaped_and_short() {
        assert_eq!(shown("<b>&\n", 20), "&lt;b&gt;&amp;");
        assert_eq!(shown("gpj.\u{202e}guM\u{feff}", 20), "gpj.guM");
        assert_eq!(shown("abcdef", 4), "abc…");
        assert_eq!(shown("abc", 4), "abc");
        assert_eq!(clipped("🦀🦀🦀", 5), "🦀🦀…", "a crab is two units");
    }
}
