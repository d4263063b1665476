//! What a button says when it is pressed. Telegram keeps 64 bytes with a button and sends them back. Everything that a button needs
//! is in them, so that the buttons on people's screens still work after a restart of the bot.

use shop_core::{Money, OrderId, ProductId};

use crate::commands::Draft;

/// The Bot API's limit for `callback_data`, in bytes.
const MAX_DATA: usize = 64;

/// The longest draft that fits on a button, in bytes: what the longest id and page number leave.
const MAX_DRAFT: usize = MAX_DATA - "a|99|9223372036854775807|".len();

/// The last page; they are counted from 0.
pub(crate) const MAX_PAGE: usize = 99;

/// What pressing a button means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Press {
    /// Show a page of the products, with the draft under it.
    Products { page: usize, draft: Draft },
    /// Put one more of a product into the draft.
    Add { page: usize, product: ProductId, draft: Draft },
    /// Order the draft, for the total that was shown.
    Order { total: Money, draft: Draft },
    /// Show a page of the orders.
    Orders { page: usize },
    /// Ask whether an order should really be cancelled.
    AskCancel { order: OrderId },
    /// Cancel an order.
    Cancel { order: OrderId },
}

impl Press {
    /// The button's data. It fits if the draft [`fits`].
    pub(crate) fn encode(&self) -> String {
        match self {
            Self::Products { page, draft } => format!("p|{page}|{draft}"),
            Self::Add { page, product, draft } => format!("a|{page}|{product}|{draft}"),
            Self::Order { total, draft } => format!("o|{}|{draft}", total.minor()),
            Self::Orders { page } => format!("l|{page}"),
            Self::AskCancel { order } => format!("c|{order}"),
            Self::Cancel { order } => format!("x|{order}"),
        }
    }

    /// Reads the data of one of our buttons; `None` for anything else, since a client may send anything.
    pub(crate) fn decode(data: &str) -> Option<Self> {
        let (kind, rest) = data.split_once('|').unwrap_or((data, ""));
        match kind {
            "p" => {
                let (number, draft) = rest.split_once('|')?;
                Some(Self::Products { page: page(number)?, draft: self::draft(draft)? })
            }
            "a" => {
                let (number, rest) = rest.split_once('|')?;
                let (product, draft) = rest.split_once('|')?;
                let product = product.parse().ok().filter(|product: &ProductId| product.0 > 0)?;
                Some(Self::Add { page: page(number)?, product, draft: self::draft(draft)? })
            }
            "o" => {
                let (total, draft) = rest.split_once('|')?;
                let total = Money::from_minor(total.parse().ok()?).ok()?;
                Some(Self::Order { total, draft: self::draft(draft).filter(|draft| !draft.is_empty())? })
            }
            "l" => Some(Self::Orders { page: page(rest)? }),
            "c" => Some(Self::AskCancel { order: rest.parse().ok()? }),
            "x" => Some(Self::Cancel { order: rest.parse().ok()? }),
            _ => None,
        }
    }

    /// For span names and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Products { .. } => "button products",
            Self::Add { .. } => "button add",
            Self::Order { .. } => "button order",
            Self::Orders { .. } => "button orders",
            Self::AskCancel { .. } => "button ask-cancel",
            Self::Cancel { .. } => "button cancel",
        }
    }
}

/// Whether buttons can carry the draft.
pub(crate) fn fits(draft: &Draft) -> bool {
    draft.to_string().len() <= MAX_DRAFT
}

fn page(text: &str) -> Option<usize> {
    text.parse().ok().filter(|page| *page <= MAX_PAGE)
}

fn draft(text: &str) -> Option<Draft> {
    let draft = if text.is_empty() { Draft::default() } else { text.parse().ok()? };
    Some(draft).filter(fits)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_button_says_what_it_means_in_64_bytes() {
        let draft: Draft = "1:100,22:3,333:10,4444,5555,6:12,7,8:90".parse().unwrap();
        assert_eq!(draft.to_string().len(), MAX_DRAFT);
        assert!(fits(&draft));
        let order = OrderId(Uuid::from_u128(u128::MAX));
        for press in [
            Press::Products { page: MAX_PAGE, draft: draft.clone() },
            Press::Products { page: 0, draft: Draft::default() },
            Press::Add { page: MAX_PAGE, product: ProductId(i64::MAX), draft: draft.clone() },
            Press::Order { total: Money::MAX, draft: draft.clone() },
            Press::Orders { page: 3 },
            Press::AskCancel { order },
            Press::Cancel { order },
        ] {
            let data = press.encode();
            assert!(data.len() <= MAX_DATA, "{data}");
            assert_eq!(Press::decode(&data), Some(press), "{data}");
        }
    }

    #[test]
    fn data_that_is_not_ours_is_no_press() {
        for data in [
            "",
            "?",
            "p",
            "p|",
            "p|100|",
            "p|-1|",
            "p|0|x",
            "a|0|0|",
            "a|0|1",
            "o|1|",
            "o|-1|1",
            "l|",
            "c|1",
            "x|",
            "p|0|1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
        ] {
            assert_eq!(Press::decode(data), None, "{data}");
        }
    }
}
