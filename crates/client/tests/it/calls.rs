//! What is sent, and what is read from the responses.

use serde_json::{Value, json};
use shop_client::{Auth, Catalog, NewOrder, Notifications, OnBehalf, Orders, Owner, Search};
use shop_core::{Currency, Language, OrderId, OrderStatus, ProductId, basket::Line};
use shop_runtime::{config::ExposeSecret as _, http::Peer, seal::Seal};
use uuid::Uuid;

use crate::{
    answers::mug,
    server::{Reply, Server},
};

fn order(status: &str) -> Value {
    json!({
        "id": Uuid::nil(), "customer_email": "b***@example.com", "total_amount": 1000.0, "currency": "RUB",
        "status": status, "created_at": "2026-01-02T03:04:05Z",
        "items": [{ "product_id": 1, "name": "Mug", "quantity": 2, "price": 500.0 }],
    })
}

#[tokio::test]
async fn auth_is_told_on_whose_behalf_somebody_logs_in() {
    let token = json!({ "access_token": "s3cret", "token_type": "bearer", "expires_in": 3600 });
    let server = Server::answering([Reply::json(200, &token)]).await;
    let auth = Auth::new(&server.url, &shop_client::http().unwrap());
    let email = "User@Example.com".parse().unwrap();
    let peer = Peer::Named("_telegram7".to_owned());
    let token =
        auth.log_in(&email, "pass word", OnBehalf { peer: &peer, device: Some("0ld") }).await.unwrap();
    assert_eq!((token.access_token.expose_secret(), token.expires_in), ("s3cret", 3600));
    assert!(!format!("{token:?}").contains("s3cret"));
    auth.register(&email, "pass word", OnBehalf::OURSELVES).await.unwrap();

    let asked = server.asked();
    assert_eq!(
        asked.iter().map(|asked| &*asked.target).collect::<Vec<_>>(),
        ["/auth/token", "/auth/register"]
    );
    for asked in &asked {
        assert_eq!(asked.body, json!({ "email": "user@example.com", "password": "pass word" }));
    }
    assert_eq!(asked[0].headers["x-forwarded-for"], "_telegram7");
    assert_eq!(asked[0].headers["authorization"], "Bearer 0ld");
    assert!(!asked[1].headers.contains_key("x-forwarded-for"));
    assert!(!asked[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn products_are_searched_found_by_id_and_shown() {
    let svg = Reply::With(200, Some(("content-type", "image/svg+xml; charset=utf-8")), b"<svg/>".to_vec());
    let html = Reply::With(200, Some(("content-type", "text/html")), b"<script>".to_vec());
    let nothing = || Reply::With(404, None, Vec::new());
    let server = Server::answering([
        Reply::linked("</products?cursor=a%3D&limit=2>; rel=\"next\"", &json!([mug()])),
        Reply::json(200, &json!([mug()])),
        Reply::json(200, &mug()),
        nothing(),
        svg,
        nothing(),
        html,
    ])
    .await;
    let catalog = Catalog::new(&server.url, &shop_client::http().unwrap());
    let search = Search { q: Some("чай & co"), category: Some("tea"), cursor: Some("x="), limit: 2 };
    let page = catalog.search(&search).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("a="));
    let [one, gone, never] = [1, 7, -1].map(ProductId);
    let known = catalog.by_ids(&[one, gone, never]).await.unwrap();
    assert_eq!((known.len(), known[&one].currency), (1, Currency::RUB));
    assert!(catalog.by_ids(&[never]).await.unwrap().is_empty());
    assert_eq!(catalog.product(one).await.unwrap().unwrap().name, "Mug");
    assert!(catalog.product(gone).await.unwrap().is_none());
    assert_eq!(catalog.picture(one).await.unwrap().unwrap(), b"<svg/>");
    assert!(catalog.picture(gone).await.unwrap().is_none());
    catalog.picture(one).await.unwrap_err();
    let targets: Vec<_> = server.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(
        targets,
        [
            "/products?q=%D1%87%D0%B0%D0%B9+%26+co&category=tea&cursor=x%3D&limit=2",
            "/products?ids=1%2C7&limit=2",
            "/products/1",
            "/products/7",
            "/products/1/picture.svg",
            "/products/7/picture.svg",
            "/products/1/picture.svg",
        ]
    );
}

#[tokio::test]
async fn a_slice_is_read_page_by_page() {
    let numbered = |from: i64| {
        let named = |id| json!({ "id": id, "name": "Mug", "price": 5, "currency": "RUB", "stock": 0 });
        Value::Array((from..from + 3).map(named).collect())
    };
    let server = Server::answering([
        Reply::linked("</products?cursor=2>; rel=next", &numbered(1)),
        Reply::linked("</products?cursor=3>; rel=next", &numbered(4)),
        Reply::json(200, &numbered(7)),
    ])
    .await;
    let catalog = Catalog::new(&server.url, &shop_client::http().unwrap());
    let slice = catalog.slice(2, 3).await.unwrap();
    assert_eq!(slice.items.iter().map(|product| product.id.0).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(slice.more);
    let targets: Vec<_> = server.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(targets, ["/products?limit=100", "/products?cursor=2&limit=100"], "no further than needed");

    let last = catalog.slice(0, 3).await.unwrap();
    assert_eq!((last.items.len(), last.more), (3, false), "the page that is left is the last one");
}

#[tokio::test]
async fn a_list_without_an_end_is_not_walked_for_ever() {
    let server = Server::answering([Reply::linked("</orders?cursor=2>; rel=next", &json!([]))]).await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let slice = orders.slice("t0ken", 5, 5).await.unwrap();
    assert!(slice.items.is_empty() && slice.more);
    assert_eq!(server.asked().len(), 10);
}

#[tokio::test]
async fn orders_are_placed_listed_read_and_cancelled() {
    let server = Server::answering([
        Reply::json(201, &order("pending")),
        Reply::linked("</orders?limit=1&cursor=c2>; rel=\"next\"", &json!([order("confirmed")])),
        Reply::json(200, &order("pending")),
        Reply::With(404, None, Vec::new()),
        Reply::json(200, &order("cancelled")),
    ])
    .await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let items = [
        Line { product_id: ProductId(1), quantity: 2, price: Some("500".parse().unwrap()) },
        Line { product_id: ProductId(2), quantity: 1, price: None },
    ];
    let new = NewOrder {
        customer_email: Some("user@example.com"),
        items: &items,
        language: Some(Language::Russian),
    };
    let placed = orders.place("t0ken", Uuid::nil(), &new).await.unwrap();
    assert_eq!(placed.items[0].sum().to_string(), "1000.00");
    let page = orders.list("t0ken", Some("c1"), 1).await.unwrap();
    assert_eq!((page.items[0].status, page.next.as_deref()), (Some(OrderStatus::Confirmed), Some("c2")));
    let id = OrderId(Uuid::nil());
    assert_eq!(orders.get(Owner::Account("t0ken"), id).await.unwrap().unwrap().id, id);
    assert!(orders.get(Owner::Account("t0ken"), id).await.unwrap().is_none());
    orders.cancel(Owner::Account("t0ken"), id).await.unwrap();

    let asked = server.asked();
    assert_eq!(asked[0].headers["accept-language"], "ru");
    assert_eq!(
        asked[0].body,
        json!({ "customer_email": "user@example.com", "items": [
            { "product_id": 1, "quantity": 2, "price": 500.0 }, { "product_id": 2, "quantity": 1 },
        ]})
    );
    let lines: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect();
    let one = format!("/orders/{id}");
    assert_eq!(
        lines,
        [
            "POST /orders".to_owned(),
            "GET /orders?limit=1&cursor=c1".to_owned(),
            format!("GET {one}"),
            format!("GET {one}"),
            format!("POST {one}/cancel"),
        ]
    );
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == "Bearer t0ken"));
}

#[tokio::test]
async fn a_chat_is_linked_and_unlinked_with_the_bots_proof() {
    let server = Server::answering([Reply::With(204, None, Vec::new())]).await;
    let bot = "123:s3cret".into();
    let notifications = Notifications::new(&server.url, &shop_client::http().unwrap(), &bot);
    notifications.link_telegram("t0ken", 77, Language::Russian).await.unwrap();
    notifications.unlink_telegram(77).await.unwrap();
    let [link, unlink] = server.asked().try_into().unwrap();
    assert_eq!((link.method.as_str(), link.target.as_str()), ("PUT", "/telegram-links"));
    assert_eq!(link.body, json!({ "chat_id": 77, "language": "ru" }));
    assert_eq!(link.headers["authorization"], "Bearer t0ken");
    let seal = |purpose: &str, parts: &[&[u8]]| Seal::new(purpose, b"123:s3cret").of(parts);
    assert_eq!(link.headers["x-bot-proof"], seal("telegram-link", &[b"77", b"t0ken"]));
    assert_eq!((unlink.method.as_str(), unlink.target.as_str()), ("DELETE", "/telegram-links/77"));
    assert_eq!(unlink.headers["x-bot-proof"], seal("telegram-unlink", &[b"77"]));
    assert!(!unlink.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_service_is_alive_when_its_health_says_so() {
    let server = Server::answering([Reply::json(200, &json!({})), Reply::With(503, None, Vec::new())]).await;
    let auth = Auth::new(&server.url, &shop_client::http().unwrap());
    assert_eq!(auth.upstream().name(), "auth_service");
    auth.upstream().ping().await.unwrap();
    auth.upstream().ping().await.unwrap_err();
    auth.upstream().visit().await.unwrap_err();
    let targets: Vec<_> = server.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(targets, ["/health", "/health", "/"]);
}
