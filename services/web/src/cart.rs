use shop_core::ProductId;

/// The most products of one kind in a cart.
pub(crate) const MOST_OF_ONE: u32 = 99;
/// The most kinds of product in a cart; it has to fit into a cookie, and into one order.
pub(crate) const MOST_LINES: usize = 30;

/// What a visitor wants to buy: products and how many of each, in the order in which they were put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cart(Vec<Line>);

/// One product of a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product_id: ProductId,
    pub(crate) quantity: u32,
}

/// The cart has [`MOST_LINES`] kinds of product already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Cart {
    pub(crate) fn lines(&self) -> &[Line] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many things are in it.
    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|line| line.quantity).sum()
    }

    /// How many of a product are in it.
    pub(crate) fn quantity(&self, product_id: ProductId) -> u32 {
        self.0.iter().find(|line| line.product_id == product_id).map_or(0, |line| line.quantity)
    }

    /// Puts `quantity` more of a product in, up to [`MOST_OF_ONE`].
    pub(crate) fn add(&mut self, product_id: ProductId, quantity: u32) -> Result<(), Full> {
        self.set(product_id, self.quantity(product_id).saturating_add(quantity))
    }

    /// Makes it `quantity` of a product, up to [`MOST_OF_ONE`]; zero takes the product out.
    pub(crate) fn set(&mut self, product_id: ProductId, quantity: u32) -> Result<(), Full> {
        let quantity = quantity.min(MOST_OF_ONE);
        let place = self.0.iter().position(|line| line.product_id == product_id);
        match place {
            Some(place) if quantity == 0 => {
                self.0.remove(place);
            }
            Some(place) => self.0[place].quantity = quantity,
            None if quantity == 0 => {}
            None if self.0.len() >= MOST_LINES => return Err(Full),
            None => self.0.push(Line { product_id, quantity }),
        }
        Ok(())
    }

    /// Takes a product out.
    pub(crate) fn remove(&mut self, product_id: ProductId) {
        self.0.retain(|line| line.product_id != product_id);
    }

    /// The text in the cookie: `1:2,2:1`.
    pub(crate) fn encode(&self) -> String {
        let lines: Vec<String> =
            self.0.iter().map(|line| format!("{}:{}", line.product_id, line.quantity)).collect();
        lines.join(",")
    }

    /// Reads the cookie's text; what cannot be read is left out.
    pub(crate) fn decode(text: &str) -> Self {
        let mut cart = Self::default();
        for line in text.split(',').take(MOST_LINES) {
            let Some((product, quantity)) = line.split_once(':') else { continue };
            if let (Ok(product), Ok(quantity)) = (product.parse(), quantity.parse()) {
                // At most MOST_LINES are read, so it is never full.
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
