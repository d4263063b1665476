//! What the bot says, in English and in Russian, as Telegram's HTML. Pure: it is given what to say.
//!
//! Everything that comes from elsewhere (names, typed words) goes through [`shown`], which escapes and shortens it.

mod orders;
mod phrases;
mod products;

use shop_core::Money;
use teloxide::{
    types::{InlineKeyboardButton, InlineKeyboardMarkup},
    utils::html,
};

pub(crate) use self::{
    orders::{ask_cancel, orders, receipt},
    phrases::*,
    products::{Basket, products},
};
use crate::press::Press;

/// A language that the bot speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

impl Language {
    /// The language for a user whose client is set to `code`, an IETF language tag.
    pub(crate) fn of(code: Option<&str>) -> Self {
        let primary = code.unwrap_or_default().split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("ru") { Self::Russian } else { Self::English }
    }

    fn say<T>(self, english: T, russian: T) -> T {
        match self {
            Self::English => english,
            Self::Russian => russian,
        }
    }
}

/// A message of the bot, with the buttons under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// At most 4096 UTF-16 units when its markup is taken away.
    pub(crate) text: String,
    pub(crate) keyboard: Option<InlineKeyboardMarkup>,
}

impl Reply {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), keyboard: None }
    }

    /// With a row of buttons more; a row without any is left out.
    fn row(mut self, buttons: impl IntoIterator<Item = InlineKeyboardButton>) -> Self {
        let row: Vec<_> = buttons.into_iter().collect();
        if !row.is_empty() {
            self.keyboard = Some(self.keyboard.unwrap_or_default().append_row(row));
        }
        self
    }
}

fn button(label: impl Into<String>, press: &Press) -> InlineKeyboardButton {
    InlineKeyboardButton::callback(label, press.encode())
}

/// Words from elsewhere, for a message: at most `units` UTF-16 units, which is how Telegram counts, and escaped.
fn shown(text: &str, units: usize) -> String {
    html::escape(&clipped(text, units))
}

/// Words from elsewhere, for a button, where nothing is markup.
fn clipped(text: &str, units: usize) -> String {
    let one_line: String =
        text.trim().chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    // What hides or turns words around would do so to the whole message.
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

/// An amount as people write it: `1,500.00 RUB`, `1 500,00 ₽`.
fn price(language: Language, amount: Money, currency: &str) -> String {
    let (separator, point) = language.say((',', '.'), ('\u{a0}', ','));
    let whole = (amount.minor() / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    let currency = if currency == "RUB" { "₽".to_owned() } else { clipped(currency, 8) };
    format!("{grouped}{point}{:02}\u{a0}{currency}", amount.minor() % 100)
}

/// Buttons to the neighbouring pages, as far as there are any.
fn page_buttons(
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
    fn the_language_is_the_clients() {
        for code in ["ru", "RU", "ru-RU", "ru_UA"] {
            assert_eq!(Language::of(Some(code)), Language::Russian, "{code}");
        }
        for code in [None, Some(""), Some("en"), Some("de-DE"), Some("run")] {
            assert_eq!(Language::of(code), Language::English, "{code:?}");
        }
    }

    #[test]
    fn prices_are_written_as_people_write_them() {
        let amount = |minor| Money::from_minor(minor).unwrap();
        assert_eq!(price(Language::English, amount(123_456_789), "RUB"), "1,234,567.89\u{a0}₽");
        assert_eq!(price(Language::Russian, amount(150_000), "RUB"), "1\u{a0}500,00\u{a0}₽");
        assert_eq!(price(Language::English, amount(5), "EUR"), "0.05\u{a0}EUR");
    }

    #[test]
    fn words_from_elsewhere_are_escaped_and_short() {
        assert_eq!(shown("<b>&\n", 20), "&lt;b&gt;&amp;");
        assert_eq!(shown("gpj.\u{202e}guM\u{feff}", 20), "gpj.guM");
        assert_eq!(shown("abcdef", 4), "abc…");
        assert_eq!(shown("abc", 4), "abc");
        assert_eq!(clipped("🦀🦀🦀", 5), "🦀🦀…", "a crab is two units");
    }
}
