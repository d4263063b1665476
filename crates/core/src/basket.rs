//! The products that somebody wants to buy: the storefront's cart, the bot's draft and the lines of an order follow the same rules.

use serde::Serialize;
use thiserror::Error;

use crate::{Currency, Money, ProductId};

/// The limits of a basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of different products.
    pub products: usize,
    /// The maximum quantity of one product.
    pub of_one: u32,
}

impl Limits {
    /// The limits of an order in order_service.
    pub const ORDER: Self = Self { products: 50, of_one: 1000 };
    /// The limits of the storefront's cart. They are lower than an order's, because the cart has to fit into a cookie.
    pub const CART: Self = Self { products: 30, of_one: 99 };
}

/// A product and its quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// The quantity.
    pub quantity: u32,
    /// The price per piece that the customer saw, if any: order_service refuses the order if it has changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
}

/// Different products, each in one line whose quantity is within the basket's [`Limits`]. They keep the order in which they
/// were added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basket {
    lines: Vec<Line>,
    limits: Limits,
}

/// Why a line does not fit into a basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// There is no room for another product.
    #[error("there are more than {most} different products")]
    TooManyProducts {
        /// See [`Limits::products`].
        most: usize,
    },
    /// Zero, or too many together with those in the basket.
    #[error("the quantity of product {product_id} is not 1 to {most}")]
    Quantity {
        /// The product.
        product_id: ProductId,
        /// See [`Limits::of_one`].
        most: u32,
    },
    /// The product is already in the basket with another price.
    #[error("product {product_id} has two different prices")]
    ContradictoryPrices {
        /// The product.
        product_id: ProductId,
    },
}

impl Basket {
    /// An empty basket.
    pub fn new(limits: Limits) -> Self {
        Self { lines: Vec::new(), limits }
    }

    /// One line for each product.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The total number of pieces.
    pub fn count(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    /// The quantity of a product.
    pub fn quantity(&self, product_id: ProductId) -> u32 {
        self.lines.iter().find(|line| line.product_id == product_id).map_or(0, |line| line.quantity)
    }

    /// The products.
    pub fn product_ids(&self) -> Vec<ProductId> {
        self.lines.iter().map(|line| line.product_id).collect()
    }

    /// Adds `line`. If the product is already in the basket, the quantities are added up and the product keeps its place.
    ///
    /// # Errors
    /// The line does not fit; the basket is unchanged.
    pub fn add(&mut self, line: Line) -> Result<(), Unfit> {
        let Line { product_id, quantity, price } = line;
        let Limits { products, of_one } = self.limits;
        let wrong_quantity = Unfit::Quantity { product_id, most: of_one };
        if quantity == 0 || quantity > of_one {
            return Err(wrong_quantity);
        }
        let Some(known) = self.lines.iter_mut().find(|known| known.product_id == product_id) else {
            if self.lines.len() >= products {
                return Err(Unfit::TooManyProducts { most: products });
            }
            self.lines.push(line);
            return Ok(());
        };
        let sum = known.quantity.saturating_add(quantity);
        if sum > of_one {
            return Err(wrong_quantity);
        }
        if known.price.is_some() && price.is_some() && known.price != price {
            return Err(Unfit::ContradictoryPrices { product_id });
        }
        known.quantity = sum;
        known.price = known.price.or(price);
        Ok(())
    }

    /// Sets the quantity of a product; zero removes the product.
    ///
    /// # Errors
    /// That many do not fit; the basket is unchanged.
    pub fn set(&mut self, product_id: ProductId, quantity: u32) -> Result<(), Unfit> {
        if quantity == 0 {
            self.remove(product_id);
            return Ok(());
        }
        if quantity > self.limits.of_one {
            return Err(Unfit::Quantity { product_id, most: self.limits.of_one });
        }
        if let Some(known) = self.lines.iter_mut().find(|known| known.product_id == product_id) {
            known.quantity = quantity;
            return Ok(());
        }
        self.add(Line { product_id, quantity, price: None })
    }

    /// Removes a product.
    pub fn remove(&mut self, product_id: ProductId) {
        self.lines.retain(|line| line.product_id != product_id);
    }
}

/// The total price of a basket's lines, computed line by line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    amount: Money,
    /// The first product, and its currency.
    first: Option<(ProductId, Currency)>,
}

/// Why lines have no total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoTotal {
    /// These products are sold in different currencies.
    #[error("products {0} and {1} are sold in different currencies")]
    MixedCurrencies(ProductId, ProductId),
    /// It is more than the largest amount.
    #[error("the total is more than {}", Money::MAX)]
    TooLarge,
}

impl Total {
    /// Adds a line: `quantity` pieces of a product at `price` each.
    ///
    /// # Errors
    /// There is no total with this line.
    pub fn add(
        &mut self,
        product_id: ProductId,
        quantity: u32,
        price: Money,
        currency: Currency,
    ) -> Result<(), NoTotal> {
        let (first, known) = *self.first.get_or_insert((product_id, currency));
        if known != currency {
            return Err(NoTotal::MixedCurrencies(first, product_id));
        }
        let sum = price.checked_mul(quantity).and_then(|amount| self.amount.checked_add(amount));
        self.amount = sum.ok_or(NoTotal::TooLarge)?;
        Ok(())
    }

    /// The total of the lines so far.
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// The currency of the lines; `None` without lines.
    pub fn currency(&self) -> Option<Currency> {
        self.first.map(|(_, currency)| currency)
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

    fn filled(lines: impl IntoIterator<Item = Line>) -> Result<Basket, Unfit> {
        let mut basket = Basket::new(Limits::ORDER);
        lines.into_iter().try_for_each(|line| basket.add(line)).map(|()| basket)
    }

    #[test]
    fn a_full_cart_can_be_ordered() {
        let (cart, order) = (Limits::CART, Limits::ORDER);
        assert!(cart.products <= order.products && cart.of_one <= order.of_one);
    }

    #[test]
    fn lines_of_one_product_merge_and_keep_the_first_ones_place() {
        let basket = filled([line(2, 1, None), line(1, 3, None), line(2, 4, Some(500))]).unwrap();
        assert_eq!(basket.lines(), [line(2, 5, Some(500)), line(1, 3, None)]);
        assert_eq!((basket.count(), basket.quantity(ProductId(2)), basket.quantity(ProductId(9))), (8, 5, 0));
    }

    #[test]
    fn a_basket_keeps_its_limits() {
        let Limits { products, of_one } = Limits::ORDER;
        let wrong = Err(Unfit::Quantity { product_id: ProductId(1), most: of_one });
        for quantity in [0, of_one + 1, u32::MAX] {
            assert_eq!(filled([line(1, quantity, None)]), wrong);
        }
        assert_eq!(filled([line(1, of_one, None), line(1, 1, None)]), wrong);
        let mut full = filled((1..=50).map(|product| line(product, 1, None))).unwrap();
        let before = full.clone();
        assert_eq!(full.add(line(51, 1, None)), Err(Unfit::TooManyProducts { most: products }));
        assert_eq!(full.set(ProductId(51), 1), Err(Unfit::TooManyProducts { most: products }));
        assert!(full.set(ProductId(1), of_one + 1).is_err());
        assert_eq!(full, before);
        assert_eq!(full.set(ProductId(1), of_one), Ok(()));
    }

    #[test]
    fn a_quantity_is_set_and_zero_takes_the_product_out() {
        let mut basket = filled([line(1, 2, None), line(2, 1, None)]).unwrap();
        basket.set(ProductId(1), 7).unwrap();
        basket.set(ProductId(2), 0).unwrap();
        basket.set(ProductId(3), 0).unwrap();
        assert_eq!(basket.lines(), [line(1, 7, None)]);
        basket.remove(ProductId(1));
        assert!(basket.is_empty());
    }

    #[test]
    fn two_prices_of_one_product_contradict() {
        assert_eq!(
            filled([line(1, 1, Some(100)), line(2, 1, None), line(1, 1, Some(101))]),
            Err(Unfit::ContradictoryPrices { product_id: ProductId(1) })
        );
        assert!(filled([line(1, 1, Some(100)), line(1, 1, Some(100))]).is_ok());
    }

    #[test]
    fn a_total_has_one_currency_and_an_end() {
        let (rub, eur) = (Currency::RUB, "EUR".parse().unwrap());
        let mut total = Total::default();
        assert_eq!((total.amount(), total.currency()), (Money::ZERO, None));
        total.add(ProductId(1), 2, Money::from_minor(50_000).unwrap(), rub).unwrap();
        assert_eq!((total.amount().minor(), total.currency()), (100_000, Some(rub)));
        let mixed = NoTotal::MixedCurrencies(ProductId(1), ProductId(2));
        assert_eq!({ total }.add(ProductId(2), 1, Money::ZERO, eur), Err(mixed));
        assert_eq!({ total }.add(ProductId(2), 2, Money::MAX, rub), Err(NoTotal::TooLarge));
        assert_eq!(total.add(ProductId(2), 1, Money::MAX, rub), Err(NoTotal::TooLarge));
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
            let basket = filled(lines.iter().map(|(product, quantity)| line(*product, *quantity, None)));
            let basket = basket.unwrap();
            let got: BTreeMap<_, _> =
                basket.lines().iter().map(|line| (line.product_id, line.quantity)).collect();
            prop_assert_eq!(got.len(), basket.lines().len());
            prop_assert_eq!(got, wanted);
        }

        #[test]
        fn no_lines_panic(lines in prop::collection::vec((any::<i64>(), any::<u32>()), 0..80)) {
            let _ = filled(lines.iter().map(|(product, quantity)| line(*product, *quantity, None)));
        }
    }
}
