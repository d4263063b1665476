//! An order's page: its life, as it is and as it goes on.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    Shop,
    browser::Browser,
    upstream::{ADMIN, ORDER_ID},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

const PAID: [&str; 4] = ["placed", "stock_reserved", "payment_processed", "confirmed"];

fn path() -> String {
    format!("/orders/{ORDER_ID}")
}

/// An order with these steps, one a second.
fn order(status: &str, steps: &[&str]) -> Value {
    let step = |(seq, event): (usize, &&str)| {
        let at = format!("2026-11-23T11:00:{seq:02}Z");
        json!({ "seq": seq + 1, "at": at, "event": event, "detail": "for the shop alone" })
    };
    let timeline: Vec<Value> = steps.iter().enumerate().map(step).collect();
    json!({ "status": status, "timeline": timeline, "trace_id": TRACE })
}

fn paid_and(status: &str, steps: &[&str]) -> Value {
    order(status, &[&PAID[..], steps].concat())
}

async fn events(browser: &mut Browser, query: &str) -> Response {
    browser.request(Method::GET, &format!("{}/events{query}", path())).send().await.unwrap()
}

/// What the stream says until it says `until`.
async fn read_until(stream: &mut Response, until: &str) -> String {
    let reading = async {
        let mut text = String::new();
        while !text.contains(until) {
            let piece = stream.chunk().await.unwrap();
            text += std::str::from_utf8(&piece.expect("the stream goes on")).unwrap();
        }
        text
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("it is told")
}

#[tokio::test]
async fn a_pending_order_says_what_is_done_and_how_to_learn_more() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    shop.upstreams.order.order_becomes(order("pending", &["placed", "stock_reserved"]));
    let page = customer.get(&path()).await;
    page.shows("badge-pending\">Being processed");
    page.shows("Order placed");
    page.shows("Items set aside for you");
    page.shows("datetime=\"2026-11-23T11:00:01+00:00\"");
    page.shows(&format!("data-live=\"{}/events?after=2\"", path()));
    page.shows("<noscript><p class=\"refresh\">");
    page.shows("<li class=\"step step-done\" aria-current=\"step\">Placed</li>");
    page.hides("for the shop");
    assert!(page.header("content-security-policy").contains("connect-src 'self'"));
}

#[tokio::test]
async fn what_has_become_of_an_order_is_said_in_the_customers_words() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    shop.upstreams.order.order_becomes(paid_and("confirmed", &[]));
    let page = customer.get(&path()).await;
    page.shows("Your items are set aside and paid for.");
    page.shows("Payment received");
    page.shows("Yes, cancel it");

    let mut shipped = paid_and("shipped", &["shipped"]);
    shipped["tracking_number"] = json!("<RB & 123>");
    shop.upstreams.order.order_becomes(shipped);
    let page = customer.get(&path()).await;
    page.shows("badge-shipped");
    page.shows("&#60;RB &#38; 123&#62;");
    page.hides("Yes, cancel it");
    page.shows("data-live");

    shop.upstreams.order.order_becomes(paid_and("delivered", &["shipped", "delivered"]));
    let page = customer.get(&path()).await;
    page.shows("Your order has arrived.");
    page.hides("data-live");

    let with_reason = |mut order: Value| {
        order["cancellation"] = json!({ "code": "out_of_stock", "reason": "for the shop alone" });
        order
    };
    shop.upstreams.order.order_becomes(with_reason(paid_and("cancelled", &["cancelled"])));
    let page = customer.get(&path()).await;
    page.shows("sold out before we could set it aside");
    page.shows("Your money is on its way back to you.");
    page.shows("data-live");
    page.hides("for the shop");
    customer.headers.insert("accept-language", "ru".to_owned());
    customer.get(&path()).await.shows("раскупили раньше");
    customer.headers.insert("accept-language", "en".to_owned());

    let refunded = paid_and("cancelled", &["cancelled", "payment_refunded"]);
    shop.upstreams.order.order_becomes(with_reason(refunded));
    let page = customer.get(&path()).await;
    page.shows("Your money has been returned.");
    page.hides("data-live");
}

#[tokio::test]
async fn what_only_a_newer_service_knows_does_not_break_the_pages() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    shop.upstreams.order.order_becomes(order("returned", &["placed", "wrapped"]));
    for path in [path(), "/orders".to_owned()] {
        let page = customer.get(&path).await;
        assert_eq!(page.status, 200);
        page.shows("badge-other\">In progress");
    }
    // And what an older one leaves out.
    shop.upstreams.order.order_becomes(json!({}));
    let page = customer.get(&path()).await;
    page.shows(&format!("data-live=\"{}/events\"", path()));
    page.hides("What has happened");
}

#[tokio::test]
async fn news_are_told_as_they_happen_until_the_end() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let mut stream = events(&mut customer, "?after=1").await;
    assert_eq!(stream.status(), 200);
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
    {
        assert_eq!(stream.headers()[name], value);
    }
    let asked = shop.upstreams.order.last();
    assert_eq!((asked.uri.path(), asked.uri.query()), (&*format!("{}/events", path()), None));
    assert_eq!(asked.headers["last-event-id"], "1");
    assert_eq!(asked.headers["authorization"], "Bearer the.users.token");

    shop.upstreams.order.tells(2, "payment_processed", "pending");
    let news = read_until(&mut stream, "payment_processed").await;
    assert!(news.contains("event: step") && news.contains("id: 2"), "{news}");
    shop.upstreams.order.tells(3, "cancelled", "cancelled");
    shop.upstreams.order.ends_streams();
    let news = read_until(&mut stream, "event: end").await;
    assert!(news.contains("\"event\":\"cancelled\"") && !news.contains("for the shop"), "{news}");
    while stream.chunk().await.unwrap().is_some() {}

    // The browser's own memory goes before the page's.
    let again = customer.request(Method::GET, &format!("{}/events?after=1", path()));
    again.header("last-event-id", "3").send().await.unwrap();
    assert_eq!(shop.upstreams.order.last().headers["last-event-id"], "3");
}

#[tokio::test]
async fn only_who_may_see_the_order_may_follow_it() {
    let shop = Shop::open().await;
    let mut stranger = shop.browser();
    assert_eq!(events(&mut stranger, "").await.status(), 401);
    assert!(shop.upstreams.order.asked().is_empty());
    let mut customer = shop.customer().await;
    let other = "/orders/01936f00-0000-7000-8000-000000000000/events";
    assert_eq!(customer.get(other).await.status, 404);
    let malformed = customer.get("/orders/x/events").await.status;
    assert_eq!(malformed, customer.get("/orders/x").await.status);
    assert_eq!(events(&mut customer, "?after=x").await.status(), 400);
    for (status, expected) in [(401, 401), (503, 503), (500, 503), (200, 502)] {
        shop.upstreams.order.answers(status, None, b"");
        assert_eq!(events(&mut customer, "").await.status().as_u16(), expected, "{status}");
    }
}

#[tokio::test]
async fn a_visitors_fifth_stream_takes_the_place_of_the_first() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(events(&mut customer, "").await);
    }
    let mut another = shop.logged_in("another@example.com").await;
    assert_eq!(events(&mut another, "").await.status(), 200);
    open.push(events(&mut customer, "").await);
    assert_eq!(open[4].status(), 200);
    let mut first = open.remove(0);
    read_until(&mut first, "event: later").await;
    assert!(first.chunk().await.unwrap().is_none());
    shop.upstreams.order.tells(2, "confirmed", "confirmed");
    for mut other in open {
        read_until(&mut other, "id: 2").await;
    }
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_a_stop() {
    let shop = Shop::open().await;
    let mut customer = shop.customer().await;
    let mut stream = events(&mut customer, "").await;
    shop.lifecycle.stop();
    let ending = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), ending).await.expect("the stream ends");
    tokio::time::timeout(Duration::from_secs(5), shop.lifecycle.clone().run()).await.expect("a stop");
}

#[tokio::test]
async fn the_trace_is_for_administrators_and_for_demonstrations() {
    let traces = |config: &mut web::Config| {
        config.trace_url = Some("http://traces.example/trace/{trace_id}".parse().unwrap());
    };
    let link = format!("href=\"http://traces.example/trace/{TRACE}\"");
    let shop = Shop::open_with(traces).await;
    shop.upstreams.order.order_becomes(order("pending", &["placed"]));
    shop.customer().await.get(&path()).await.hides("traces.example");
    shop.logged_in(ADMIN).await.get(&path()).await.shows(&link);
    let mut broken = order("pending", &["placed"]);
    broken["trace_id"] = json!("\"><script>");
    shop.upstreams.order.order_becomes(broken);
    shop.logged_in(ADMIN).await.get(&path()).await.hides("traces.example");

    let demonstration = Shop::open_with(|config| {
        traces(config);
        config.demo.is_on = true;
    })
    .await;
    demonstration.upstreams.order.order_becomes(order("pending", &["placed"]));
    demonstration.customer().await.get(&path()).await.shows(&link);
    let without = Shop::open_with(|config| config.demo.is_on = true).await;
    without.upstreams.order.order_becomes(order("pending", &["placed"]));
    without.logged_in(ADMIN).await.get(&path()).await.hides(TRACE);
}
