//! Compares the stock of a product with all reservations. No I/O.

use shop_client::Stock;
use shop_core::ProductId;

use super::{
    disagreement::{About, Disagreement},
    entry::{AllHeld, Held},
};

/// Everything that the books do not agree about in these products' stock. Stock may be reserved only of a product that has stock.
pub(super) fn disagreements<'a>(
    stock: impl IntoIterator<Item = &'a Stock>,
    mut held: AllHeld,
) -> Vec<Disagreement> {
    let mut found = Vec::new();
    for stock in stock {
        found.extend(of_product(stock, held.0.remove(&stock.product_id).unwrap_or_default()));
    }
    let homeless = held.0.into_iter().filter(|(_, held)| held.reserved > 0);
    found.extend(homeless.map(|(product, held)| {
        told(product, format!("stock of which {} are reserved", held.reserved), "none")
    }));
    found
}

fn told(product: ProductId, expected: impl Into<String>, found: impl Into<String>) -> Disagreement {
    Disagreement { about: About::Product(product), expected: expected.into(), found: found.into() }
}

fn of_product(stock: &Stock, held: Held) -> Vec<Disagreement> {
    let Stock { product_id, received, on_hand, reserved, available } = *stock;
    let mut found = Vec::new();
    let mut tell = |expected: String, there: String| found.push(told(product_id, expected, there));
    if received - held.sold != on_hand {
        tell(
            format!("{} on hand ({received} received, {} sold)", received - held.sold, held.sold),
            on_hand.to_string(),
        );
    }
    if held.reserved != reserved {
        tell(format!("{} reserved, as the reservations say", held.reserved), reserved.to_string());
    }
    if on_hand - reserved != available {
        tell(
            format!("{} available ({on_hand} on hand, {reserved} reserved)", on_hand - reserved),
            available.to_string(),
        );
    }
    for (name, number) in
        [("received", received), ("on hand", on_hand), ("reserved", reserved), ("available", available)]
    {
        if number < 0 {
            tell(format!("nothing below zero {name}"), number.to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stock(received: i64, on_hand: i64, reserved: i64, available: i64) -> Stock {
        Stock { product_id: ProductId(1), received, on_hand, reserved, available }
    }

    /// 2 reserved and 3 sold of product 1; what is released or rejected does not count.
    fn held() -> AllHeld {
        let mut held = AllHeld::default();
        for (state, quantity) in [("reserved", 2), ("sold", 1), ("sold", 2), ("released", 5), ("rejected", 7)]
        {
            let reservation = json!({ "order_id": "0198f000-0000-7000-8000-000000000001", "state": state,
                                      "items": [{ "product_id": 1, "quantity": quantity }] });
            held.add(&serde_json::from_value(reservation).unwrap());
        }
        held
    }

    fn told(stock: &Stock) -> Vec<String> {
        disagreements([stock], held()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_received_is_sold_reserved_or_available() {
        assert_eq!(told(&stock(10, 7, 2, 5)), [""; 0]);
        assert_eq!(
            told(&stock(10, 8, 2, 6)),
            ["product 1: expected 7 on hand (10 received, 3 sold), found 8"]
        );
        assert_eq!(
            told(&stock(10, 7, 3, 4)),
            ["product 1: expected 2 reserved, as the reservations say, found 3"]
        );
        assert_eq!(
            told(&stock(10, 7, 2, 6)),
            ["product 1: expected 5 available (7 on hand, 2 reserved), found 6"]
        );
    }

    #[test]
    fn nothing_is_below_zero() {
        assert_eq!(told(&stock(4, 1, 2, -1)), ["product 1: expected nothing below zero available, found -1"]);
    }

    #[test]
    fn reserved_stock_of_a_product_without_any_is_named() {
        let told: Vec<_> = disagreements([], held()).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["product 1: expected stock of which 2 are reserved, found none"]);
    }
}
