use std::ops::Deref;

use shop_core::{
    Basket, ProductId,
    basket::{Limits, Unfit},
};

/// The most pieces of one product in a cart.
pub(crate) const MOST_OF_ONE: u32 = Limits::CART.of_one;

/// What a visitor wants to buy, within [`Limits::CART`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cart(Basket);

/// No other product fits into the cart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Default for Cart {
    fn default() -> Self {
        Self(Basket::new(Limits::CART))
    }
}

impl Deref for Cart {
    type Target = Basket;

    fn deref(&self) -> &Basket {
        &self.0
    }
}

impl Cart {
    /// Puts `quantity` more pieces of a product in, up to [`MOST_OF_ONE`].
    pub(crate) fn add(&mut self, product_id: ProductId, quantity: u32) -> Result<(), Full> {
        self.set(product_id, self.quantity(product_id).saturating_add(quantity))
    }

    /// Makes it `quantity` pieces of a product, up to [`MOST_OF_ONE`]; zero takes the product out.
    pub(crate) fn set(&mut self, product_id: ProductId, quantity: u32) -> Result<(), Full> {
        self.0.set(product_id, quantity.min(MOST_OF_ONE)).map_err(|_: Unfit| Full)
    }

    /// Takes a product out.
    pub(crate) fn remove(&mut self, product_id: ProductId) {
        self.0.remove(product_id);
    }

    /// The text in the cookie: `1:2,2:1`.
    pub(crate) fn encode(&self) -> String {
        let lines: Vec<String> =
            self.lines().iter().map(|line| format!("{}:{}", line.product_id, line.quantity)).collect();
        lines.join(",")
    }

    /// Reads the cookie's text; what cannot be read is left out.
    pub(crate) fn decode(text: &str) -> Self {
        let mut cart = Self::default();
        for line in text.split(',').take(Limits::CART.products) {
            let Some((product, quantity)) = line.split_once(':') else { continue };
            if let (Ok(product), Ok(quantity)) = (product.parse(), quantity.parse()) {
                // No more lines are read than fit, so it is never full.
                let _ = cart.set(product, quantity);
            }
        }
        cart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart(text: &str) -> Cart {
        Cart::decode(text)
    }

    #[test]
    fn a_cart_survives_its_cookie() {
        assert_eq!(cart("1:2,7:1").encode(), "1:2,7:1");
        assert_eq!(cart("").count(), 0);
        assert_eq!(cart("1:2,rubbish,:,3:-1,4:0,5:3").encode(), "1:2,5:3");
    }

    #[test]
    fn adding_the_same_product_adds_up_to_the_most() {
        let mut cart = cart("1:98");
        cart.add(ProductId(1), 1).unwrap();
        cart.add(ProductId(1), u32::MAX).unwrap();
        assert_eq!(cart.encode(), "1:99");
    }

    #[test]
    fn zero_takes_a_product_out() {
        let mut cart = cart("1:1,2:1");
        cart.set(ProductId(1), 0).unwrap();
        cart.remove(ProductId(2));
        assert!(cart.is_empty());
    }

    #[test]
    fn a_cart_has_a_bound() {
        let mut cart = Cart::default();
        for id in 0..30 {
            cart.add(ProductId(id), 1).unwrap();
        }
        assert_eq!(cart.add(ProductId(99), 1), Err(Full));
        assert_eq!(cart.add(ProductId(3), 1), Ok(()));
    }
}
