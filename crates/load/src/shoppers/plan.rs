//! What a shopper intends to do. No I/O.

use rand::{Rng, RngExt as _};
use shop_client::Product;
use shop_core::basket::Line;

/// What shoppers usually do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// How many percent order without an account.
    pub(crate) guests: u8,
    /// How many percent cancel: half of them at once, half when the order is confirmed.
    pub(crate) cancels: u8,
    /// The number of accounts that the others share.
    pub(crate) accounts: usize,
}

/// The largest number of different products in a cart, and of one of them.
const MOST_LINES: usize = 3;
const MOST_OF_ONE: u32 = 2;
/// The largest number of products that are looked at before anything is bought.
const MOST_LOOKS: usize = 2;

/// What one shopper is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) who: Who,
    /// How many products to look at.
    pub(crate) looks: usize,
    picks: Vec<Pick>,
    pub(crate) regret: Option<Regret>,
}

/// Who orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Somebody without an account.
    Guest,
    /// The owner of this account.
    Account(usize),
}

/// When a shopper cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Regret {
    /// As soon as the order is placed.
    AtOnce,
    /// When it is confirmed.
    WhenConfirmed,
}

/// One of the products that can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pick {
    /// Its place among them, modulo their number.
    place: u32,
    quantity: u32,
}

impl Plan {
    pub(crate) fn draw(habits: &Habits, chance: &mut impl Rng) -> Self {
        let mut percent = |share: u8| chance.random_ratio(share.into(), 100);
        let (is_guest, regrets, at_once) = (percent(habits.guests), percent(habits.cancels), percent(50));
        let who = if is_guest || habits.accounts == 0 {
            Who::Guest
        } else {
            Who::Account(chance.random_range(0..habits.accounts))
        };
        let lines = chance.random_range(1..=MOST_LINES);
        let pick = |_| Pick { place: chance.random(), quantity: chance.random_range(1..=MOST_OF_ONE) };
        Self {
            who,
            picks: (0..lines).map(pick).collect(),
            looks: chance.random_range(0..=MOST_LOOKS),
            regret: regrets.then_some(if at_once { Regret::AtOnce } else { Regret::WhenConfirmed }),
        }
    }

    /// The cart: only what can be bought now, at the prices seen, each product once. Empty if nothing can be bought.
    pub(crate) fn cart(&self, products: &[Product]) -> Vec<Line> {
        let there: Vec<&Product> = products.iter().filter(|product| product.stock > 0).collect();
        let mut cart: Vec<Line> = Vec::new();
        for pick in &self.picks {
            let Some(product) = usize::try_from(pick.place).ok().and_then(|place| {
                let place = place.checked_rem(there.len())?;
                there.get(place).copied()
            }) else {
                continue;
            };
            if cart.iter().all(|line| line.product_id != product.id) {
                let quantity = pick.quantity.min(product.stock);
                cart.push(Line { product_id: product.id, quantity, price: Some(product.price) });
            }
        }
        cart
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};
    use serde_json::json;

    use super::*;

    const HABITS: Habits = Habits { guests: 30, cancels: 20, accounts: 4 };

    fn plans(habits: &Habits) -> Vec<Plan> {
        let mut chance = StdRng::seed_from_u64(7);
        (0..1000).map(|_| Plan::draw(habits, &mut chance)).collect()
    }

    fn products(stocks: &[u32]) -> Vec<Product> {
        let product = |(place, stock): (usize, &u32)| {
            let product =
                json!({ "id": place + 1, "name": "x", "price": 5.0, "currency": "RUB", "stock": stock });
            serde_json::from_value(product).unwrap()
        };
        stocks.iter().enumerate().map(product).collect()
    }

    #[test]
    fn shoppers_have_the_habits_that_were_asked_for() {
        let share = |plans: &[Plan], of: fn(&Plan) -> bool| plans.iter().filter(|plan| of(plan)).count() / 10;
        let plans = plans(&HABITS);
        assert!((25..=35).contains(&share(&plans, |plan| plan.who == Who::Guest)));
        assert!((15..=25).contains(&share(&plans, |plan| plan.regret.is_some())));
        assert!((5..=15).contains(&share(&plans, |plan| plan.regret == Some(Regret::AtOnce))));
        for account in 0..4 {
            assert!(plans.iter().any(|plan| plan.who == Who::Account(account)));
        }
    }

    #[test]
    fn without_accounts_everybody_is_a_guest() {
        let plans = plans(&Habits { guests: 0, accounts: 0, ..HABITS });
        assert!(plans.iter().all(|plan| plan.who == Who::Guest));
    }

    #[test]
    fn a_seed_gives_the_same_shoppers_again() {
        assert_eq!(plans(&HABITS), plans(&HABITS));
    }

    #[test]
    fn a_cart_holds_what_can_be_bought_each_product_once() {
        let products = products(&[0, 1, 9, 0]);
        for plan in plans(&HABITS) {
            let cart = plan.cart(&products);
            assert!((1..=2).contains(&cart.len()), "{cart:?}");
            for line in &cart {
                let product = products.iter().find(|product| product.id == line.product_id).unwrap();
                assert!((1..=product.stock).contains(&line.quantity));
                assert_eq!(line.price, Some(product.price));
            }
        }
    }

    #[test]
    fn there_is_no_cart_where_nothing_can_be_bought() {
        let plan = &plans(&HABITS)[0];
        assert!(plan.cart(&products(&[0, 0])).is_empty());
        assert!(plan.cart(&[]).is_empty());
    }
}
