//! More buyers than pieces.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{Real, Shop, admin_token, assert_books_agree, http, outbox::until};

const BUYERS: usize = 200;
const PIECES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_buyers_of_ten_pieces_ten_get_one_and_the_others_are_told_why_not() {
    let Some(real) = Real::take().await else { return };
    let mut shop = Shop::whole(&real.backends(), &[("ORDER_GUEST_ORDERS_PER_MINUTE", "0")]).await;
    let token = admin_token(&shop).await;
    let rare = json!({ "name": "Rare", "price": 100.0, "category": "rare", "stock": PIECES });
    let created = http().post(format!("{}/products", shop.catalog)).bearer_auth(&token).json(&rare);
    let product: Value = created.send().await.unwrap().json().await.unwrap();

    // Nothing is published yet, so every buyer still sees ten pieces.
    let buy = async |buyer: usize| {
        let items = json!([{ "product_id": product["id"], "quantity": 1 }]);
        let email = format!("buyer{buyer}@example.com");
        shop.place(&json!({ "customer_email": email, "items": items })).await
    };
    let orders: Vec<String> = stream::iter(0..BUYERS).map(buy).buffer_unordered(20).collect().await;
    shop.publish().await;

    let mut ends: HashMap<String, usize> = HashMap::new();
    for order in &orders {
        until("the order is settled", async || status(&shop, order).await != "pending").await;
        let order = shop.order(order).await.unwrap();
        let end = order["cancellation"]["code"].as_str().or(order["status"].as_str()).unwrap();
        *ends.entry(end.to_owned()).or_default() += 1;
    }
    let expected =
        HashMap::from([("confirmed".to_owned(), PIECES), ("out_of_stock".to_owned(), BUYERS - PIECES)]);
    assert_eq!(ends, expected);
    let left = http().get(format!("{}/products/{}", shop.catalog, product["id"]));
    let left: Value = left.send().await.unwrap().json().await.unwrap();
    assert_eq!(left["stock"], 0);
    let verdict = assert_books_agree(&shop).await;
    assert_eq!((verdict.charges, verdict.orders_that_are("cancelled")), (PIECES, BUYERS - PIECES));
}

async fn status(shop: &Shop, order: &str) -> String {
    let order = shop.order(order).await.unwrap_or_default();
    order["status"].as_str().unwrap_or("pending").to_owned()
}
