//! How responses are interpreted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop_client::{Catalog, Failure, Search};
use shop_core::ProductId;

use crate::server::{Reply, Server};

async fn failure(reply: Reply) -> Failure {
    let server = Server::answering([reply]).await;
    let catalog = Catalog::new(&server.url, &shop_client::http().unwrap());
    catalog.search(&Search::all(10)).await.unwrap_err()
}

pub(crate) fn mug() -> Value {
    json!({ "id": 1, "name": "Mug", "price": 500.0, "currency": "RUB", "stock": 3 })
}

#[tokio::test]
async fn a_problem_is_a_refusal_with_its_kind() {
    let problem = json!({
        "type": "https://shop.dev/problems/price-changed", "title": "…", "status": 409, "detail": "It costs 550.00.",
        "product_id": 7, "current_price": 550.0, "available": 2, "errors": [{ "pointer": "/items/0/price" }],
    });
    let reply = Reply::With(409, Some(("retry-after", "42")), problem.to_string().into_bytes());
    let Failure::Refused(refusal) = failure(reply).await else { panic!("a refusal") };
    assert_eq!((refusal.status.as_u16(), refusal.slug.as_str()), (409, "price-changed"));
    assert_eq!(refusal.detail.as_deref(), Some("It costs 550.00."));
    assert_eq!(refusal.retry_after, Some(42));
    assert_eq!(refusal.product_id(), Some(ProductId(7)));
    assert_eq!(refusal.current_price(), Some("550".parse().unwrap()));
    assert_eq!(refusal.available(), Some(2));
    assert!(refusal.is_about("/items/0/price") && !refusal.is_about("/items"));
    assert_eq!(refusal.to_string(), "catalog_service refused the request: 409 Conflict price-changed");
}

#[tokio::test]
async fn a_refusal_that_is_no_problem_has_no_kind() {
    for body in ["", "<html>", "[]", "{\"type\":5,\"product_id\":\"x\",\"errors\":{}}"] {
        let Failure::Refused(refusal) = failure(Reply::With(418, None, body.into())).await else {
            panic!("a refusal")
        };
        assert_eq!((refusal.status.as_u16(), refusal.slug.as_str()), (418, ""), "{body}");
        assert_eq!((refusal.detail.as_deref(), refusal.retry_after), (None, None));
        assert_eq!((refusal.product_id(), refusal.current_price(), refusal.available()), (None, None, None));
        assert!(!refusal.is_about("/email"));
    }
}

#[tokio::test]
async fn a_401_is_about_the_token_unless_it_says_otherwise() {
    assert!(matches!(failure(Reply::With(401, None, Vec::new())).await, Failure::Unauthorized(_)));
    let unauthorized = json!({ "type": "https://shop.dev/problems/unauthorized" });
    assert!(matches!(failure(Reply::json(401, &unauthorized)).await, Failure::Unauthorized(_)));
    let credentials = json!({ "type": "https://shop.dev/problems/bad-credentials" });
    assert!(failure(Reply::json(401, &credentials)).await.is_refused_as("bad-credentials"));
}

#[tokio::test]
async fn a_service_in_trouble_is_unavailable_and_503_has_not_begun() {
    for (status, begun) in [(500, true), (502, true), (503, false), (504, true)] {
        let reply = Reply::With(status, Some(("retry-after", "7")), b"stack trace".to_vec());
        let failure = failure(reply).await;
        assert_eq!(failure.perhaps_done(), begun, "{status}");
        let Failure::Unavailable { retry_after, ref reason, .. } = failure else { panic!("{failure}") };
        assert_eq!(retry_after, Some(7));
        assert!(!reason.contains("stack trace"), "{reason}");
    }
    let dated = Reply::With(503, Some(("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")), Vec::new());
    assert!(matches!(failure(dated).await, Failure::Unavailable { retry_after: None, .. }));
}

#[tokio::test]
async fn an_answer_off_the_contract_is_unreadable_and_not_quoted() {
    for body in [&b"<html>s3cret"[..], b"[{\"id\":\"s3cret\"}]", b"{\"s3cret\":1}", b"", b"\xff"] {
        let failure = failure(Reply::With(200, None, body.to_vec())).await;
        assert!(matches!(failure, Failure::Unreadable { .. }) && failure.perhaps_done(), "{failure}");
        assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
    }
    let elsewhere = Reply::With(302, Some(("location", "http://evil.example/")), Vec::new());
    assert!(matches!(failure(elsewhere).await, Failure::Unreadable { .. }), "redirects are not followed");
}

#[tokio::test]
async fn only_so_much_is_read_of_an_answer() {
    let page = json!([mug()]).to_string();
    let padded =
        |bytes: usize| Reply::With(200, None, format!("{page}{}", " ".repeat(bytes - page.len())).into());
    let most = 2 * 1024 * 1024;
    let server = Server::answering([padded(most), padded(most + 1)]).await;
    let catalog = Catalog::new(&server.url, &shop_client::http().unwrap());
    assert_eq!(catalog.search(&Search::all(1)).await.unwrap().items[0].name, "Mug");
    let failure = catalog.search(&Search::all(1)).await.unwrap_err();
    assert!(failure.to_string().contains("more than 2097152 bytes"), "{failure}");
}

#[tokio::test]
async fn members_that_nobody_knows_are_ignored() {
    let mut product = mug();
    product["weight"] = json!({ "grams": 300 });
    let server = Server::answering([Reply::json(200, &json!([product]))]).await;
    let catalog = Catalog::new(&server.url, &shop_client::http().unwrap());
    let page = catalog.search(&Search::all(1)).await.unwrap();
    assert_eq!((page.items[0].stock, page.items[0].category.as_str(), page.next), (3, "", None));
}

#[tokio::test]
async fn a_body_that_stalls_or_breaks_off_is_a_service_that_is_unavailable() {
    let broken = failure(Reply::BreakingOff).await;
    assert!(matches!(broken, Failure::Unavailable { .. }) && broken.perhaps_done(), "{broken}");

    let began = Instant::now();
    let stalled = failure(Reply::Stalling).await;
    assert!(matches!(stalled, Failure::Unavailable { .. }) && stalled.perhaps_done(), "{stalled}");
    assert!((4..8).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!(!stalled.to_string().contains("127.0.0.1"), "the address is not told: {stalled}");
    assert!(began.elapsed() > Duration::from_secs(4));
}
