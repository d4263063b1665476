use shop_core::{
    Currency, Money, ProductId,
    basket::{NoTotal, Total},
};
use thiserror::Error;

use super::{Basket, Item, Product};

/// A basket at the catalog's prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    /// The lines, with names and prices.
    pub items: Vec<Item>,
    /// The sum of the lines.
    pub total: Money,
    /// One for all lines.
    pub currency: Currency,
}

/// Why a basket cannot be ordered unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unquotable {
    #[error("There is no product {0}.")]
    UnknownProduct(ProductId),
    #[error("Product {product_id} now costs {current_price}.")]
    PriceChanged { product_id: ProductId, current_price: Money },
    #[error("Only {available} of product {product_id} left in stock.")]
    OutOfStock { product_id: ProductId, available: u32 },
    #[error("Products {0} and {1} are sold in different currencies: order them separately.")]
    MixedCurrencies(ProductId, ProductId),
    #[error("An order's total must be at most {}.", Money::MAX)]
    TotalTooLarge,
}

impl From<NoTotal> for Unquotable {
    fn from(no_total: NoTotal) -> Self {
        match no_total {
            NoTotal::MixedCurrencies(one, other) => Self::MixedCurrencies(one, other),
            NoTotal::TooLarge => Self::TotalTooLarge,
        }
    }
}

impl Basket {
    /// Prices the basket with `products`, the catalog's response.
    ///
    /// The stock is only checked, so that a hopeless order is refused at once; nothing is reserved here.
    pub(crate) fn quote(&self, products: &[Product]) -> Result<Quote, Unquotable> {
        let mut items = Vec::with_capacity(self.lines().len());
        let mut total = Total::default();
        for line in self.lines() {
            let product_id = line.product_id;
            let product = products
                .iter()
                .find(|product| product.id == product_id)
                .ok_or(Unquotable::UnknownProduct(product_id))?;
            if line.price.is_some_and(|price| price != product.price) {
                return Err(Unquotable::PriceChanged { product_id, current_price: product.price });
            }
            if line.quantity > product.stock {
                return Err(Unquotable::OutOfStock { product_id, available: product.stock });
            }
            total.add(product_id, line.quantity, product.price, product.currency)?;
            items.push(Item {
                product_id,
                name: product.name.clone(),
                quantity: line.quantity,
                price: product.price,
            });
        }
        // A basket has at least one line, so there is always a currency.
        let currency = total.currency().unwrap_or(Currency::RUB);
        Ok(Quote { items, total: total.amount(), currency })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shop_core::basket::Limits;

    use super::*;
    use crate::domain::Line;

    fn money(minor: i64) -> Money {
        Money::from_minor(minor).unwrap()
    }

    fn product(id: i64, price: i64, stock: u32) -> Product {
        Product {
            id: ProductId(id),
            name: format!("Product {id}"),
            price: money(price),
            currency: Currency::RUB,
            stock,
        }
    }

    fn basket(lines: &[(i64, u32, Option<i64>)]) -> Basket {
        Basket::new(lines.iter().map(|&(id, quantity, price)| Line {
            product_id: ProductId(id),
            quantity,
            price: price.map(money),
        }))
        .unwrap()
    }

    #[test]
    fn a_quote_has_the_catalogs_names_and_prices() {
        let quote = basket(&[(1, 2, Some(50_000)), (2, 1, None)])
            .quote(&[product(2, 150_000, 1), product(1, 50_000, 9)])
            .unwrap();
        assert_eq!((quote.total, quote.currency), (money(250_000), Currency::RUB));
        assert_eq!(quote.items[1].name, "Product 2");
        assert_eq!(quote.items[1].price, money(150_000));
    }

    #[test]
    fn what_differs_from_the_catalog_is_refused() {
        let catalog =
            [product(1, 50_000, 3), Product { currency: "EUR".parse().unwrap(), ..product(2, 1, 9) }];
        for (lines, why) in [
            (&[(1, 1, None), (7, 1, None)][..], Unquotable::UnknownProduct(ProductId(7))),
            (
                &[(1, 1, Some(49_999))],
                Unquotable::PriceChanged { product_id: ProductId(1), current_price: money(50_000) },
            ),
            (&[(1, 4, None)], Unquotable::OutOfStock { product_id: ProductId(1), available: 3 }),
            (&[(1, 1, None), (2, 1, None)], Unquotable::MixedCurrencies(ProductId(1), ProductId(2))),
        ] {
            assert_eq!(basket(lines).quote(&catalog), Err(why));
        }
    }

    #[test]
    fn a_total_beyond_the_largest_amount_is_refused() {
        let dear = Money::MAX.minor();
        assert!(basket(&[(1, 1, None)]).quote(&[product(1, dear, 9)]).is_ok());
        for lines in [&[(1, 2, None)][..], &[(1, 1, None), (2, 1, None)]] {
            let quote = basket(lines).quote(&[product(1, dear, 9), product(2, 1, 9)]);
            assert_eq!(quote, Err(Unquotable::TotalTooLarge));
        }
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_lines_or_too_large(
            lines in prop::collection::vec((1..=Limits::ORDER.of_one, 0..=Money::MAX.minor()), 1..=50)
        ) {
            let numbered = || (1..).zip(&lines);
            let basket = Basket::new(numbered().map(|(id, (quantity, _))| Line {
                product_id: ProductId(id),
                quantity: *quantity,
                price: None,
            }))
            .unwrap();
            let products: Vec<_> =
                numbered().map(|(id, (_, price))| product(id, *price, Limits::ORDER.of_one)).collect();
            let sum: i128 =
                lines.iter().map(|(quantity, price)| i128::from(*quantity) * i128::from(*price)).sum();
            match basket.quote(&products) {
                Ok(quote) => prop_assert_eq!(i128::from(quote.total.minor()), sum),
                Err(refusal) => {
                    prop_assert_eq!(refusal, Unquotable::TotalTooLarge);
                    prop_assert!(sum > i128::from(Money::MAX.minor()));
                }
            }
        }
    }
}
