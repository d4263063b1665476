use chrono::TimeDelta;
use serde_json::json;

use crate::{Shop, browser::Browser, upstream::ORDER_ID};

async fn with_cart(browser: &mut Browser) {
    browser.get("/catalog").await;
    for (product, quantity) in [("1", "2"), ("2", "1")] {
        let fields = [("product_id", product), ("quantity", quantity), ("next", "/catalog")];
        assert_eq!(browser.submit("/cart/add", &fields).await.location(), "/catalog");
    }
}

/// Presses "place the order" on the cart's page.
async fn press(browser: &mut Browser) -> crate::browser::Answer {
    let page = browser.get("/cart").await;
    let (key, lines) = (page.hidden("key").to_owned(), page.hidden("lines").to_owned());
    browser.submit("/order", &[("key", &key), ("lines", &lines)]).await
}

#[tokio::test]
async fn a_cart_is_filled_changed_and_emptied() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/cart").await.shows("Your cart is empty");
    with_cart(&mut browser).await;
    browser.get("/catalog").await.shows("Added to your cart");
    let page = browser.get("/cart").await;
    page.shows("RUB\u{a0}2,500.00");
    page.shows("aria-label=\"3\u{a0}items\"");
    assert_eq!(page.hidden("lines"), "1:2:500.00,2:1:1500.00");

    browser.submit("/cart/update", &[("product_id", "1"), ("quantity", "5")]).await;
    browser.get("/cart").await.shows("RUB\u{a0}4,000.00");
    browser.submit("/cart/update", &[("product_id", "1"), ("quantity", "0")]).await;
    browser.submit("/cart/remove", &[("product_id", "2")]).await;
    browser.get("/cart").await.shows("Your cart is empty");
}

#[tokio::test]
async fn nonsense_in_a_quantity_changes_nothing() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    with_cart(&mut browser).await;
    for quantity in ["-1", "1.5", "x", "1000", "9999999999999999999999"] {
        let answer = browser.submit("/cart/update", &[("product_id", "1"), ("quantity", quantity)]).await;
        assert_eq!(answer.status, 303);
        let page = browser.get("/cart").await;
        page.shows("a whole number from 1 to 99");
        page.shows("RUB\u{a0}2,500.00");
    }
}

#[tokio::test]
async fn what_cannot_be_bought_is_said_at_its_line() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/catalog").await;
    for (product, quantity) in [("2", "4"), ("3", "1"), ("99", "1")] {
        browser.submit("/cart/add", &[("product_id", product), ("quantity", quantity)]).await;
    }
    let page = browser.get("/cart").await;
    page.shows("Only 3 left. Please take fewer.");
    page.shows("Sold out. Remove it");
    page.shows("Product no. 99");
    page.shows(" disabled>Place the order");
}

#[tokio::test]
async fn a_cart_becomes_an_order_at_the_prices_that_were_shown() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    let answer = press(&mut customer).await;
    assert_eq!((answer.status, answer.location()), (303, &*format!("/orders/{ORDER_ID}")));
    let asked = shop.upstreams.order.last();
    assert_eq!(
        asked.body,
        json!({ "customer_email": "user@example.com", "items": [
            { "product_id": 1, "quantity": 2, "price": 500.0 },
            { "product_id": 2, "quantity": 1, "price": 1500.0 },
        ]})
    );
    assert_eq!(asked.headers["authorization"], "Bearer the.users.token");
    assert_eq!(asked.headers["accept-language"], "en");
    assert_eq!(asked.headers["idempotency-key"].to_str().unwrap().len(), 38, "a quoted UUID");
    let page = customer.get(&format!("/orders/{ORDER_ID}")).await;
    page.shows("Your order is placed");
    page.shows("Being processed");
    page.shows("23 November 2026, 11:00 UTC");
    page.shows("Yes, cancel it");
    customer.get("/cart").await.shows("Your cart is empty");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_carries_one_key() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    let page = customer.get("/cart").await;
    let (key, lines) = (page.hidden("key").to_owned(), page.hidden("lines").to_owned());
    for _ in 0..2 {
        let answer = customer.submit("/order", &[("key", &key), ("lines", &lines)]).await;
        assert_eq!(answer.location(), format!("/orders/{ORDER_ID}"));
    }
    let asked = shop.upstreams.order.asked();
    assert_eq!(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"]);
    assert_eq!(asked[0].body, asked[1].body);
    with_cart(&mut customer).await;
    assert_ne!(customer.get("/cart").await.hidden("key"), key);
}

#[tokio::test]
async fn one_product_is_ordered_without_the_cart() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    customer.get("/products/1").await;
    let answer = customer.submit("/order", &[("product_id", "1"), ("quantity", "3")]).await;
    assert_eq!(answer.location(), format!("/orders/{ORDER_ID}"));
    assert_eq!(shop.upstreams.order.last().body["items"], json!([{ "product_id": 1, "quantity": 3 }]));
    customer.get("/cart").await.shows("RUB\u{a0}2,500.00");
}

#[tokio::test]
async fn a_guest_is_led_to_the_login_and_finds_the_cart_again() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    with_cart(&mut browser).await;
    let answer = press(&mut browser).await;
    assert_eq!(answer.location(), "/login?next=%2Fcart");
    assert!(shop.upstreams.order.asked().is_empty());
    browser.get("/login?next=%2Fcart").await.shows("Please log in");
    let fields = [("email", "user@example.com"), ("password", "password123"), ("next", "/cart")];
    assert_eq!(browser.submit("/login", &fields).await.location(), "/cart");
    browser.get("/cart").await.shows("RUB\u{a0}2,500.00");
    assert_eq!(press(&mut browser).await.location(), format!("/orders/{ORDER_ID}"));
}

#[tokio::test]
async fn a_guest_who_buys_at_once_finds_the_product_in_the_cart() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.get("/products/1").await;
    for _again in 0..2 {
        let answer = browser.submit("/order", &[("product_id", "1"), ("quantity", "2")]).await;
        assert_eq!(answer.location(), "/login?next=%2Fcart");
    }
    browser.get("/cart").await.shows("RUB\u{a0}1,000.00");
}

#[tokio::test]
async fn an_order_that_meets_an_expired_token_keeps_the_cart() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    let page = customer.get("/cart").await;
    let lines = page.hidden("lines").to_owned();
    shop.clock.advance(TimeDelta::hours(2));
    let answer = customer.submit("/order", &[("lines", &lines)]).await;
    assert_eq!((answer.status, answer.location()), (303, "/login?next=%2Fcart"));
    assert!(shop.upstreams.order.asked().is_empty());
    let login = customer.get("/login?next=%2Fcart").await;
    login.shows("Your login has expired");
    customer.get("/cart").await.shows("RUB\u{a0}2,500.00");

    // And the same when it is order_service that finds it expired.
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    shop.upstreams.order.refuses(401, "unauthorized", &json!({}));
    assert_eq!(press(&mut customer).await.location(), "/login?next=%2Fcart");
    customer.get("/cart").await.shows("RUB\u{a0}2,500.00");
}

#[tokio::test]
async fn a_refused_order_shows_the_cart_with_the_reason_at_its_line() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    for (status, slug, more, words) in [
        (
            409,
            "price-changed",
            json!({ "product_id": 1, "current_price": 550.0 }),
            "from RUB\u{a0}500.00 to RUB\u{a0}550.00",
        ),
        (409, "out-of-stock", json!({ "product_id": 2, "available": 1 }), "Only 1 left"),
        (422, "unknown-product", json!({ "product_id": 2 }), "no longer sold"),
        (422, "idempotency-key-reused", json!({}), "already sent with other contents"),
        (422, "invalid-value", json!({}), "was not accepted"),
        (409, "price-changed", json!({ "product_id": "x" }), "was not accepted"),
        (503, "unavailable", json!({}), "Orders cannot be taken right now"),
        (429, "too-many-requests", json!({}), "Too many requests in a row"),
    ] {
        shop.upstreams.order.refuses(status, slug, &more);
        let page = press(&mut customer).await;
        assert_eq!(page.status, status, "{slug}");
        page.shows("The order has not been placed yet");
        page.shows(words);
        page.shows("RUB\u{a0}2,500.00");
    }
    shop.upstreams.order.refuses(409, "idempotency-key-in-progress", &json!({}));
    assert_eq!(press(&mut customer).await.location(), "/orders");
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_sent_again_and_can_be_sent_again_with_its_key() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    with_cart(&mut customer).await;
    shop.upstreams.order.answers(500, None, b"");
    let page = press(&mut customer).await;
    assert_eq!(page.status, 503);
    page.shows("Orders cannot be taken right now");
    let asked = shop.upstreams.order.asked();
    assert_eq!(asked.len(), 3);
    for again in &asked {
        assert_eq!(again.headers["idempotency-key"], format!("\"{}\"", page.hidden("key")));
        assert_eq!(again.body, asked[0].body);
    }
}

#[tokio::test]
async fn an_empty_or_garbled_checkout_orders_nothing() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    customer.get("/cart").await;
    assert_eq!(customer.submit("/order", &[]).await.location(), "/cart");
    for (fields, status) in [
        (&[("lines", "1:1:x")][..], 400),
        (&[("lines", "")], 400),
        (&[("product_id", "x")], 400),
        (&[("key", "x"), ("product_id", "1")], 400),
        (&[("product_id", "1"), ("quantity", "0")], 303),
        (&[("product_id", "1"), ("quantity", "-5")], 303),
    ] {
        assert_eq!(customer.submit("/order", fields).await.status, status, "{fields:?}");
    }
    assert!(shop.upstreams.order.asked().is_empty());
}

#[tokio::test]
async fn orders_are_listed_and_paged() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let page = customer.get("/orders").await;
    page.shows("Order 0000C0DE");
    page.shows("href=\"/orders?cursor=c2\"");
    customer.get("/orders?cursor=c2").await.shows("Newest orders");
    assert_eq!(shop.upstreams.order.last().uri.query(), Some("limit=10&cursor=c2"));
    assert_eq!(customer.get("/orders/01936f00-0000-7000-8000-000000000000").await.status, 404);
}

#[tokio::test]
async fn an_order_is_cancelled_unless_it_is_too_late() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let path = format!("/orders/{ORDER_ID}");
    customer.get(&path).await;
    let answer = customer.submit(&format!("{path}/cancel"), &[]).await;
    assert_eq!((answer.status, answer.location()), (303, &*path));
    assert_eq!(shop.upstreams.order.last().uri.path(), format!("{path}/cancel"));
    customer.get(&path).await.shows("The order is cancelled");

    shop.upstreams.order.refuses(409, "not-cancellable", &json!({}));
    assert_eq!(customer.submit(&format!("{path}/cancel"), &[]).await.location(), path);
    shop.upstreams.order.recovers();
    customer.get(&path).await.shows("can no longer be cancelled");
}
