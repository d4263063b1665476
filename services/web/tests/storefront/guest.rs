//! A guest's order, by the link in its mails.

use reqwest::Method;
use shop_testing::Log;

use crate::{
    Shop,
    upstream::{ORDER_ID, ORDER_TOKEN},
};

fn page() -> String {
    format!("/orders/{ORDER_ID}")
}

fn link() -> String {
    format!("/orders/{ORDER_ID}?token={ORDER_TOKEN}")
}

#[tokio::test]
async fn the_link_shows_the_order_without_a_login_and_is_hidden_at_once() {
    let shop = Shop::open().await;
    let mut guest = shop.browser();
    let answer = guest.get(&link()).await;
    assert_eq!((answer.status, answer.location()), (303, &*page()));
    assert_eq!(
        (answer.header("referrer-policy"), answer.header("cache-control")),
        ("no-referrer", "no-store")
    );
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("shop_guest=") && cookie.contains(&format!("Path={}", page())), "{cookie}");
    assert!(cookie.contains("HttpOnly") && !cookie.contains(ORDER_TOKEN), "{cookie}");

    let order = guest.get(&page()).await;
    assert_eq!(order.status, 200);
    order.shows("Order 0000C0DE");
    order.shows("Morning Mug");
    order.hides(ORDER_TOKEN);
    order.hides("href=\"/orders\"");
    let asked = shop.upstreams.order.last();
    assert_eq!(asked.headers["x-order-token"], ORDER_TOKEN);
    assert_eq!(asked.uri.query(), None);
    assert_eq!(guest.get("/orders").await.location(), "/login?next=%2Forders", "it opens nothing else");
}

#[tokio::test]
async fn a_guest_follows_and_cancels_the_order() {
    let shop = Shop::open().await;
    let mut guest = shop.browser();
    guest.get(&link()).await;
    guest.get(&page()).await.shows("Yes, cancel it");
    shop.upstreams.order.tells(2, "confirmed", "confirmed");
    let request = guest.request(Method::GET, &format!("{}/events", page()));
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let event = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains("event: step") && event.contains("id: 2"), "{event}");

    let answer = guest.submit(&format!("{}/cancel", page()), &[]).await;
    assert_eq!((answer.status, answer.location()), (303, &*page()));
    let asked = shop.upstreams.order.last();
    assert_eq!(asked.uri.path(), format!("{}/cancel", page()));
    assert_eq!(asked.headers["x-order-token"], ORDER_TOKEN);
    guest.get(&page()).await.shows("The order is cancelled.");
}

#[tokio::test]
async fn another_token_opens_nothing_and_is_not_kept() {
    let shop = Shop::open().await;
    let other = ORDER_TOKEN.replace('g', "G");
    for token in [&*other, "x", "", "%00", "%0d%0aX-Evil:%201", &"x".repeat(5_000)] {
        let mut guest = shop.browser();
        let answer = guest.get(&format!("{}?token={token}", page())).await;
        assert!(matches!(answer.status, 400 | 404), "{token}: {}", answer.status);
        assert!(!guest.cookies.contains_key("shop_guest"), "{token}");
    }
    let mut guest = shop.browser();
    let answer = guest.get(&format!("{}?token={other}", page())).await;
    assert_eq!((answer.status, answer.header("referrer-policy")), (404, "no-referrer"));
    assert_eq!(guest.get(&page()).await.status, 303, "to the login");
    // A service that is away does not make the link a wrong one.
    shop.upstreams.order.answers(503, None, b"");
    let answer = guest.get(&link()).await;
    assert_eq!((answer.status, answer.header("referrer-policy")), (503, "no-referrer"));
    shop.upstreams.order.recovers();
    assert_eq!(guest.get(&link()).await.status, 303);
}

#[tokio::test]
async fn a_customer_who_follows_a_guests_link_stays_logged_in() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    customer.get(&link()).await;
    let order = customer.get(&page()).await;
    order.shows("Logged in as user@example.com");
    let asked = shop.upstreams.order.last();
    assert_eq!(asked.headers["x-order-token"], ORDER_TOKEN);
    assert!(!asked.headers.contains_key("authorization"));
}

/// Needs a process of its own for its log, as nextest gives every test.
#[tokio::test]
async fn no_log_and_no_span_has_a_guests_token() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .init();
    let shop = Shop::open().await;
    let mut guest = shop.browser();
    guest.get(&link()).await;
    guest.get(&page()).await;
    guest.submit(&format!("{}/cancel", page()), &[]).await;
    shop.upstreams.order.tells(2, "confirmed", "confirmed");
    let request = guest.request(Method::GET, &format!("{}/events", page()));
    request.send().await.unwrap().chunk().await.unwrap();
    for status in [400, 401, 404, 429, 500, 503] {
        shop.upstreams.order.answers(status, None, b"{}");
        guest.get(&link()).await;
        guest.get(&page()).await;
        guest.get(&format!("{}/events", page())).await;
    }
    let log = log.text();
    assert!(log.contains("GET /orders/{id}/events"), "the log is there:\n{log}");
    let lines: Vec<_> = log.lines().filter(|line| line.contains(ORDER_TOKEN)).collect();
    assert!(lines.is_empty(), "{lines:#?}");
}
