use askama::Template;
use shop_core::{Language, Money};

use super::phrases;
use crate::domain::Notice;

/// How much of a product's name is shown.
const LONGEST_NAME: usize = 200;

/// How long a paragraph can be: ours are shorter, unless a parcel's number is absurd.
const LONGEST_PARAGRAPH: usize = 1000;

/// What a customer reads: a subject, and the same text for programs that show HTML and for those that do not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    language: Language,
    paragraphs: Vec<String>,
    lines: Vec<Line>,
    total: Option<String>,
    link: Option<String>,
}

/// A line of the order.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    name: String,
    quantity: u32,
    sum: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'l> {
    letter: &'l Letter,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Text<'l> {
    letter: &'l Letter,
}

impl Letter {
    /// The words for a notice.
    pub(crate) fn about(notice: &Notice) -> Self {
        let Notice { order_id, language, news, items, total, link } = notice;
        let (number, language) = (order_id.number(), *language);
        let currency = total.map(|(_, currency)| currency);
        let total = total.map(|(amount, currency)| amount.for_people(language, currency));
        let paragraphs = phrases::paragraphs(news, &number, total.as_deref(), language);
        let lines = currency.map(|currency| {
            items.iter().map(move |item| Line {
                name: if item.name.is_empty() {
                    phrases::product(item.product_id.0, language)
                } else {
                    harmless(&item.name, LONGEST_NAME)
                },
                quantity: item.quantity,
                sum: item
                    .price
                    .checked_mul(item.quantity)
                    .unwrap_or(Money::MAX)
                    .for_people(language, currency),
            })
        });
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        Self {
            subject: phrases::subject(news, &number, language),
            language,
            paragraphs: paragraphs.iter().map(|text| harmless(text, LONGEST_PARAGRAPH)).collect(),
            total: total.filter(|_| !lines.is_empty()),
            lines,
            link: link.as_ref().map(ToString::to_string),
        }
    }

    /// The mail for programs that show HTML.
    ///
    /// # Errors
    /// The template cannot be rendered.
    pub(crate) fn html(&self) -> Result<String, askama::Error> {
        Html { letter: self }.render()
    }

    /// The mail for programs that do not.
    ///
    /// # Errors
    /// The template cannot be rendered.
    pub(crate) fn text(&self) -> Result<String, askama::Error> {
        Text { letter: self }.render()
    }

    /// A message for a chat: the same words without the lines.
    pub(crate) fn chat(&self) -> String {
        let link = self.link.as_ref().map(|link| format!("{}: {link}", self.open_order()));
        self.paragraphs.iter().cloned().chain(link).collect::<Vec<_>>().join("\n\n")
    }

    fn open_order(&self) -> &'static str {
        phrases::open_order(self.language)
    }

    fn total_label(&self) -> &'static str {
        phrases::total(self.language)
    }

    fn shop(&self) -> &'static str {
        phrases::shop(self.language)
    }

    fn footer(&self) -> &'static str {
        phrases::footer(self.language)
    }
}

/// Words that somebody may have typed: on one line, and not endless.
fn harmless(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect()
}
