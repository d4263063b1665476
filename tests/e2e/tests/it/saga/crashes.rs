//! `cargo run`, killed at any step.

use serde_json::json;
use shop_testing::Dice;

use crate::support::{Shop, assert_books_agree};

/// How often the shop is killed, and how many orders are placed each time.
const CRASHES: usize = 6;
const ORDERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_settles_at_whatever_step_the_shop_was_killed() {
    // Each run kills at other moments.
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let mut shop = Shop::embedded(&[]).await;
    let mut placed = Vec::new();
    for crash in 0..CRASHES {
        for order in 0..ORDERS {
            let items = json!([{ "product_id": dice.between(1, 3), "quantity": 1 }]);
            let email = format!("buyer{crash}-{order}@example.com");
            placed.push(shop.place(&json!({ "customer_email": email, "items": items })).await);
            tokio::time::sleep(dice.millis(0, 150)).await;
        }
        tokio::time::sleep(dice.millis(0, 400)).await;
        shop.processes.pop().unwrap().kill9();
        shop.start("shop").await;
    }
    let verdict = assert_books_agree(&shop).await;
    assert_eq!(verdict.orders_that_are("confirmed"), placed.len(), "{verdict}");
}
