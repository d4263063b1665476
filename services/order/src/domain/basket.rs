use shop_core::{Money, ProductId};
use thiserror::Error;

/// How many different products an order holds at most.
pub(crate) const MAX_PRODUCTS: usize = 50;
/// How many pieces of one product an order holds at most.
pub(crate) const MAX_QUANTITY: u32 = 1000;

/// A line as the customer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What.
    pub product_id: ProductId,
    /// How many.
    pub quantity: u32,
    /// The price of one that the customer saw; the order is refused when the catalog's is another.
    pub price: Option<Money>,
}

/// What a customer wants: 1 to [`MAX_PRODUCTS`] products, each in one line of 1 to [`MAX_QUANTITY`] pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basket(Vec<Line>);

/// Why lines are not a basket. `line` is the position in what the customer wrote, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidBasket {
    #[error("An order has at least one item.")]
    Empty,
    #[error("An order has at most {MAX_PRODUCTS} different products.")]
    TooManyProducts { line: usize },
    #[error("The quantity of product {product_id}, all its lines together, must be 1 to {MAX_QUANTITY}.")]
    Quantity { line: usize, product_id: ProductId },
    #[error("Product {product_id} is listed twice, with different prices.")]
    ContradictoryPrices { line: usize, product_id: ProductId },
}

impl Basket {
    /// Merges lines of the same product; products keep the order of their first lines.
    pub(crate) fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, InvalidBasket> {
        let mut merged: Vec<Line> = Vec::new();
        for (position, line) in lines.into_iter().enumerate() {
            let product_id = line.product_id;
            let quantity_is_wrong = InvalidBasket::Quantity { line: position, product_id };
            if line.quantity == 0 || line.quantity > MAX_QUANTITY {
                return Err(quantity_is_wrong);
            }
            let Some(known) = merged.iter_mut().find(|known| known.product_id == product_id) else {
                if merged.len() == MAX_PRODUCTS {
                    return Err(InvalidBasket::TooManyProducts { line: position });
                }
                merged.push(line);
                continue;
            };
            known.quantity += line.quantity;
            if known.quantity > MAX_QUANTITY {
                return Err(quantity_is_wrong);
            }
            match (known.price, line.price) {
                (Some(one), Some(other)) if one != other => {
                    return Err(InvalidBasket::ContradictoryPrices { line: position, product_id });
                }
                (one, other) => known.price = one.or(other),
            }
        }
        if merged.is_empty() { Err(InvalidBasket::Empty) } else { Ok(Self(merged)) }
    }

    /// One line for each product.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.0
    }

    /// The products.
    pub(crate) fn product_ids(&self) -> Vec<ProductId> {
        self.0.iter().map(|line| line.product_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn line(product: i64, quantity: u32, price: Option<i64>) -> Line {
        Line {
            product_id: ProductId(product),
            quantity,
            price: price.map(|minor| Money::from_minor(minor).unwrap()),
        }
    }

    #[test]
    fn lines_of_one_product_merge_and_keep_the_first_ones_place() {
        let basket = Basket::new([line(2, 1, None), line(1, 3, None), line(2, 4, Some(500))]).unwrap();
        assert_eq!(basket.lines(), [line(2, 5, Some(500)), line(1, 3, None)]);
    }

    #[test]
    fn a_basket_keeps_its_bounds() {
        let product_id = ProductId(1);
        assert_eq!(Basket::new([]), Err(InvalidBasket::Empty));
        for quantity in [0, MAX_QUANTITY + 1, u32::MAX] {
            assert_eq!(
                Basket::new([line(1, quantity, None)]),
                Err(InvalidBasket::Quantity { line: 0, product_id })
            );
        }
        assert_eq!(
            Basket::new([line(1, MAX_QUANTITY, None), line(1, 1, None)]),
            Err(InvalidBasket::Quantity { line: 1, product_id })
        );
        assert!(Basket::new((1..=50).map(|product| line(product, 1, None))).is_ok());
        assert_eq!(
            Basket::new((1..=51).map(|product| line(product, 1, None))),
            Err(InvalidBasket::TooManyProducts { line: 50 })
        );
    }

    #[test]
    fn two_prices_of_one_product_contradict() {
        assert_eq!(
            Basket::new([line(1, 1, Some(100)), line(2, 1, None), line(1, 1, Some(101))]),
            Err(InvalidBasket::ContradictoryPrices { line: 2, product_id: ProductId(1) })
        );
        assert!(Basket::new([line(1, 1, Some(100)), line(1, 1, Some(100))]).is_ok());
    }

    proptest! {
        #[test]
        fn merging_loses_and_invents_nothing(
            lines in prop::collection::vec((1..20_i64, 1..50_u32), 1..20)
        ) {
            let mut wanted = BTreeMap::new();
            for (product, quantity) in &lines {
                *wanted.entry(ProductId(*product)).or_insert(0) += quantity;
            }
            let basket = Basket::new(lines.iter().map(|(product, quantity)| line(*product, *quantity, None)));
            let basket = basket.unwrap();
            let got: BTreeMap<_, _> =
                basket.lines().iter().map(|line| (line.product_id, line.quantity)).collect();
            prop_assert_eq!(got.len(), basket.lines().len());
            prop_assert_eq!(got, wanted);
        }

        #[test]
        fn no_lines_panic(lines in prop::collection::vec((any::<i64>(), any::<u32>()), 0..80)) {
            let _ = Basket::new(lines.iter().map(|(product, quantity)| line(*product, *quantity, None)));
        }
    }
}
