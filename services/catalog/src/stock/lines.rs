//! What an order wants, and what becomes of the products that it wants. No database.

use std::collections::BTreeMap;

use shop_core::{ProductId, events::OrderedItem};
use thiserror::Error;

use super::life::Movement;

/// How many different products a reservation may have: far more than an order.
const MAX_LINES: usize = 1000;

/// A product and how many pieces of it an order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product: ProductId,
    pub(crate) quantity: u32,
}

/// The order has more products than any order can have: the event is not one of order_service.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("an order of {0} products: at most {MAX_LINES} can be reserved")]
pub(crate) struct TooManyLines(usize);

/// The lines of an order, one for each product, by product. Items without a quantity want nothing.
pub(crate) fn lines(items: &[OrderedItem]) -> Result<Vec<Line>, TooManyLines> {
    let mut wanted = BTreeMap::<ProductId, u32>::new();
    for item in items.iter().filter(|item| item.quantity > 0) {
        let quantity = wanted.entry(item.product_id).or_default();
        *quantity = quantity.saturating_add(item.quantity);
    }
    if wanted.len() > MAX_LINES {
        return Err(TooManyLines(wanted.len()));
    }
    Ok(wanted.into_iter().map(|(product, quantity)| Line { product, quantity }).collect())
}

/// A product whose pieces are about to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Affected {
    /// Pieces that are moved.
    pub(crate) quantity: i64,
    /// Pieces that can be bought before.
    pub(crate) available: i64,
    /// The product was deleted: nobody can buy it, whatever is given back.
    pub(crate) is_discontinued: bool,
}

impl Affected {
    /// Whether a buyer sees the difference: the product is sold out now, or back.
    pub(crate) fn is_seen(self, movement: Movement) -> bool {
        let after = self.available + movement.available() * self.quantity;
        !self.is_discontinued && (self.available == 0) != (after == 0)
    }
}

#[cfg(test)]
mod tests {
    use shop_core::Money;

    use super::*;

    fn item(product: i64, quantity: u32) -> OrderedItem {
        OrderedItem { product_id: ProductId(product), quantity, price: Money::ZERO, name: String::new() }
    }

    #[test]
    fn a_product_has_one_line_and_lines_are_sorted() {
        let found = lines(&[item(7, 2), item(3, 1), item(7, 5), item(9, 0)]).unwrap();
        let line = |product, quantity| Line { product: ProductId(product), quantity };
        assert_eq!(found, [line(3, 1), line(7, 7)]);
        assert_eq!(lines(&[item(1, u32::MAX), item(1, 5)]).unwrap(), [line(1, u32::MAX)]);
        assert_eq!(lines(&[]).unwrap(), []);
    }

    #[test]
    fn more_lines_than_an_order_can_have_are_refused() {
        let items: Vec<_> = (0..=1000).map(|product| item(product, 1)).collect();
        assert_eq!(
            lines(&items).unwrap_err().to_string(),
            "an order of 1001 products: at most 1000 can be reserved"
        );
        assert_eq!(lines(&items[..1000]).unwrap().len(), 1000);
    }

    #[test]
    fn buyers_see_that_a_product_is_sold_out_or_back_and_nothing_else() {
        let of = |quantity, available| Affected { quantity, available, is_discontinued: false };
        assert!(of(3, 3).is_seen(Movement::Reserve));
        assert!(of(3, 3).is_seen(Movement::SellAvailable));
        assert!(!of(2, 3).is_seen(Movement::Reserve));
        assert!(of(2, 0).is_seen(Movement::Release));
        assert!(of(2, 0).is_seen(Movement::PutBack));
        assert!(!of(2, 1).is_seen(Movement::Release));
        assert!(!of(2, 0).is_seen(Movement::Sell), "reserved pieces could not be bought before");
        let deleted = Affected { is_discontinued: true, ..of(2, 0) };
        assert!(!deleted.is_seen(Movement::Release));
    }
}
