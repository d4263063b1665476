use shop_core::{
    ProductId,
    basket::{self, Limits, Unfit},
};
use thiserror::Error;

pub(crate) use shop_core::basket::Line;

/// What a customer wants: at least one product, within [`Limits::ORDER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basket(basket::Basket);

/// Why lines are not a valid basket. `line` is the position in the customer's input, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidBasket {
    #[error("An order must have at least one item.")]
    Empty,
    #[error("An order must have at most {} different products.", Limits::ORDER.products)]
    TooManyProducts { line: usize },
    #[error("The total quantity of product {product_id} must be 1 to {}.", Limits::ORDER.of_one)]
    Quantity { line: usize, product_id: ProductId },
    #[error("Product {product_id} is listed twice, with different prices.")]
    ContradictoryPrices { line: usize, product_id: ProductId },
}

impl InvalidBasket {
    fn at(line: usize, why: Unfit) -> Self {
        match why {
            Unfit::TooManyProducts { .. } => Self::TooManyProducts { line },
            Unfit::Quantity { product_id, .. } => Self::Quantity { line, product_id },
            Unfit::ContradictoryPrices { product_id } => Self::ContradictoryPrices { line, product_id },
        }
    }
}

impl Basket {
    /// Merges lines with the same product; products keep the order of their first lines.
    pub(crate) fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, InvalidBasket> {
        let mut basket = basket::Basket::new(Limits::ORDER);
        for (position, line) in lines.into_iter().enumerate() {
            basket.add(line).map_err(|why| InvalidBasket::at(position, why))?;
        }
        if basket.is_empty() { Err(InvalidBasket::Empty) } else { Ok(Self(basket)) }
    }

    /// One line for each product.
    pub(crate) fn lines(&self) -> &[Line] {
        self.0.lines()
    }

    /// The products.
    pub(crate) fn product_ids(&self) -> Vec<ProductId> {
        self.0.product_ids()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(product: i64, quantity: u32, price: Option<&str>) -> Line {
        Line { product_id: ProductId(product), quantity, price: price.map(|price| price.parse().unwrap()) }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let product_id = ProductId(1);
        assert_eq!(Basket::new([]), Err(InvalidBasket::Empty));
        for quantity in [0, Limits::ORDER.of_one + 1] {
            assert_eq!(
                Basket::new([line(2, 1, None), line(1, quantity, None)]),
                Err(InvalidBasket::Quantity { line: 1, product_id })
            );
        }
        assert!(Basket::new((1..=50).map(|product| line(product, 1, None))).is_ok());
        assert_eq!(
            Basket::new((1..=51).map(|product| line(product, 1, None))),
            Err(InvalidBasket::TooManyProducts { line: 50 })
        );
        assert_eq!(
            Basket::new([line(1, 1, Some("1")), line(2, 1, None), line(1, 1, Some("1.01"))]),
            Err(InvalidBasket::ContradictoryPrices { line: 2, product_id })
        );
    }
}
