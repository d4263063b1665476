use shop_core::{Money, ProductId, text};
use thiserror::Error;

use super::is_drawing;

/// The currency of every price (ISO 4217). The shop sells in one currency.
pub(crate) const CURRENCY: &str = "RUB";

const MAX_NAME: usize = 120;
const MAX_DESCRIPTION: usize = 2000;
const MAX_CATEGORY: usize = 40;
/// In minor units: ten million roubles. A thousand of the most expensive product still fit into one [`Money`].
const MAX_PRICE: i64 = 1_000_000_000;

/// A product that is for sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
    pub(crate) category: String,
    /// How many pieces can be bought.
    pub(crate) stock: u32,
    /// The name of its drawing; without one, it gets the neutral picture for its category.
    pub(crate) drawing: Option<String>,
}

/// A product as an admin describes it, without its stock, validated: only [`Draft::new`] creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft(Fields);

/// The input for a [`Draft`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
    pub(crate) category: String,
    pub(crate) drawing: Option<String>,
}

/// Why the input is not a valid product.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub(crate) struct Refused {
    /// The field's name on the wire.
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

impl Draft {
    /// Trims and validates `fields`.
    pub(crate) fn new(fields: Fields) -> Result<Self, Refused> {
        let refuse = |field, reason: String| Err(Refused { field, reason });
        let name = fields.name.trim().to_owned();
        let description = fields.description.trim().to_owned();
        // Checked before trimming, because the API's description states the limits for what is sent.
        if !(1..=MAX_NAME).contains(&fields.name.chars().count()) {
            return refuse("name", format!("A name must be one line of 1 to {MAX_NAME} characters."));
        }
        if let Err(unreadable) = text::check_line(&name) {
            return refuse("name", format!("A name must be readable: {unreadable}."));
        }
        if fields.description.chars().count() > MAX_DESCRIPTION {
            return refuse(
                "description",
                format!("A description must have at most {MAX_DESCRIPTION} characters."),
            );
        }
        if let Err(unreadable) = text::check_lines(&description) {
            return refuse("description", format!("A description must be readable: {unreadable}."));
        }
        if !(1..=MAX_PRICE).contains(&fields.price.minor()) {
            return refuse("price", "A price must be 0.01 to 10000000.00.".to_owned());
        }
        if !is_category(&fields.category) {
            return refuse(
                "category",
                format!("A category must be 1 to {MAX_CATEGORY} of a-z, 0-9 and hyphens, such as `desk`."),
            );
        }
        if fields.drawing.as_deref().is_some_and(|name| !is_drawing(name)) {
            return refuse("drawing", "There is no drawing with this name.".to_owned());
        }
        Ok(Self(Fields { name, description, ..fields }))
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.0
    }
}

fn is_category(text: &str) -> bool {
    (1..=MAX_CATEGORY).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mug() -> Fields {
        Fields {
            name: " Mug ".to_owned(),
            description: "Holds tea.\nOr coffee.".to_owned(),
            price: Money::from_minor(50_000).unwrap(),
            category: "kitchen".to_owned(),
            drawing: None,
        }
    }

    #[test]
    fn a_name_is_trimmed() {
        assert_eq!(Draft::new(mug()).unwrap().fields().name, "Mug");
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_its_field() {
        let cases = [
            ("name", Fields { name: "  ".to_owned(), ..mug() }),
            ("name", Fields { name: "x".repeat(121), ..mug() }),
            ("name", Fields { name: "two\nlines".to_owned(), ..mug() }),
            ("name", Fields { name: "gpj.\u{202e}guM".to_owned(), ..mug() }),
            ("name", Fields { name: "\u{feff}Mug".to_owned(), ..mug() }),
            ("name", Fields { name: "\u{3164}".to_owned(), ..mug() }),
            ("description", Fields { description: "one\u{2067}two".to_owned(), ..mug() }),
            ("description", Fields { description: "x".repeat(2001), ..mug() }),
            ("description", Fields { description: "bell\u{7}".to_owned(), ..mug() }),
            ("price", Fields { price: Money::ZERO, ..mug() }),
            ("price", Fields { price: Money::MAX, ..mug() }),
            ("category", Fields { category: String::new(), ..mug() }),
            ("category", Fields { category: "Kitchen".to_owned(), ..mug() }),
            ("drawing", Fields { drawing: Some("../etc/passwd".to_owned()), ..mug() }),
        ];
        for (field, fields) in cases {
            assert_eq!(Draft::new(fields).unwrap_err().field, field);
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(Draft::new(Fields { name: "ы".repeat(120), ..mug() }).is_ok());
    }
}
