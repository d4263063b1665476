//! What administrators read and change, and what guests order.

use serde_json::{Value, json};
use shop_client::{
    Books, Catalog, ChargeState, Description, Failure, NewOrder, NoticeState, Orders, PaymentState,
    ReservationState,
};
use shop_core::ProductId;
use shop_runtime::config::ExposeSecret as _;
use uuid::Uuid;

use crate::server::{Reply, Server};

const ORDER: &str = "0198f000-0000-7000-8000-000000000001";

async fn books(reply: Reply) -> (Books, Server) {
    let server = Server::answering([reply]).await;
    (Books::new(&server.url, &server.url, &server.url, &shop_client::http().unwrap()), server)
}

/// The one request: its target and its token.
fn asked(server: &Server) -> (String, String) {
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    (asked[0].target.clone(), asked[0].headers["authorization"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_books_are_read_page_by_page() {
    let stock = json!([{ "product_id": 1, "received": 9, "on_hand": 7, "reserved": 2, "available": 5 }]);
    let (books, server) = books(Reply::linked("</stock?cursor=b>; rel=\"next\"", &stock)).await;
    let page = books.stock("t0ken", Some("a"), 50).await.unwrap();
    assert_eq!(asked(&server), ("/stock?limit=50&cursor=a".to_owned(), "Bearer t0ken".to_owned()));
    assert_eq!((page.items[0].product_id, page.items[0].available), (ProductId(1), 5));
    assert_eq!(page.next.as_deref(), Some("b"));
}

#[tokio::test]
async fn each_book_has_its_own_states() {
    let reservation = json!([{ "order_id": ORDER, "state": "sold", "items": [{ "product_id": 1, "quantity": 2 }],
                               "reserved_until": null }]);
    let (of_catalog, server) = books(Reply::json(200, &reservation)).await;
    let page = of_catalog.reservations("t", None, 9).await.unwrap();
    assert_eq!((asked(&server).0.as_str(), page.next), ("/reservations?limit=9", None));
    assert_eq!((page.items[0].state, page.items[0].items[0].quantity), (ReservationState::Sold, 2));

    let payment = json!([{ "id": ORDER, "order_id": ORDER, "customer_email": "a@example.com", "amount": 10.5,
                           "currency": "RUB", "state": "refunding", "provider": "simulated" }]);
    let (of_payment, server) = books(Reply::json(200, &payment)).await;
    let page = of_payment.payments("t", None, 9).await.unwrap();
    assert_eq!(asked(&server).0, "/payments?limit=9");
    assert_eq!((page.items[0].state, page.items[0].amount.minor()), (PaymentState::Refunding, 1050));

    let charge = json!([{ "order_id": ORDER, "amount": 10.5, "currency": "RUB", "state": "declined" }]);
    let (of_provider, server) = books(Reply::json(200, &charge)).await;
    let page = of_provider.charges("t", None, 9).await.unwrap();
    assert_eq!(asked(&server).0, "/simulated/charges?limit=9");
    assert_eq!(page.items[0].state, ChargeState::Declined);

    let notice = json!([{ "order_id": ORDER, "event_type": "order_created", "channel": "email",
                          "to": "a@example.com", "state": "skipped" }]);
    let (of_notification, server) = books(Reply::json(200, &notice)).await;
    let page = of_notification.notices("t", None, 9).await.unwrap();
    assert_eq!(asked(&server).0, "/notifications?limit=9");
    assert_eq!(page.items[0].state, NoticeState::Skipped);
}

#[tokio::test]
async fn a_product_is_described_anew_without_touching_its_stock() {
    let product = json!({ "id": 7, "name": "Mug", "description": "Blue", "price": 500.0, "currency": "RUB",
                          "category": "kitchen", "stock": 3 });
    let server = Server::answering([Reply::json(200, &product)]).await;
    let catalog = Catalog::new(&server.url, &shop_client::http().unwrap());
    let mug = catalog.product(ProductId(7)).await.unwrap().unwrap();
    catalog.replace("t", mug.id, &Description::from(&mug)).await.unwrap();
    catalog.create("t", &Description { stock: Some(4), ..Description::from(&mug) }).await.unwrap();
    let asked = server.asked();
    let sent = |place: usize| {
        (asked[place].method.as_str(), asked[place].target.as_str(), asked[place].body.clone())
    };
    let body = json!({ "name": "Mug", "description": "Blue", "price": 500.0, "category": "kitchen" });
    assert_eq!(sent(1), ("PUT", "/products/7", body.clone()));
    let mut stocked = body;
    stocked["stock"] = json!(4);
    assert_eq!(sent(2), ("POST", "/products", stocked));
}

#[tokio::test]
async fn the_simulated_provider_is_switched_off() {
    let (books, server) = books(Reply::With(204, None, Vec::new())).await;
    books.switch_outage("t", true).await.unwrap();
    assert_eq!(asked(&server).0, "/simulated/switches/outage");
    assert_eq!((server.asked()[0].method.as_str(), &server.asked()[0].body), ("PUT", &json!({ "on": true })));
}

fn placed(token: &Value) -> Value {
    json!({ "id": ORDER, "customer_email": "a@example.com", "total_amount": 10.5, "currency": "RUB",
            "status": "pending", "items": [], "created_at": "2026-01-02T03:04:05Z", "order_token": token })
}

#[tokio::test]
async fn a_guest_orders_without_a_login_and_gets_a_token() {
    let unclear = Reply::With(500, None, Vec::new());
    let server = Server::answering([unclear, Reply::json(201, &placed(&json!("s3cret")))]).await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let order = NewOrder { customer_email: Some("a@example.com"), items: &[], language: None };
    let placed = orders.place_as_guest(Uuid::from_u128(7), &order).await.unwrap();
    assert_eq!((placed.order.id.to_string().as_str(), placed.token.expose_secret()), (ORDER, "s3cret"));
    assert_eq!(placed.order.total_amount.minor(), 1050);
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "it was unclear whether it was placed");
    for request in asked {
        assert!(!request.headers.contains_key("authorization"));
        assert_eq!(request.headers["idempotency-key"], "\"00000000-0000-0000-0000-000000000007\"");
    }
}

#[tokio::test]
async fn a_guests_order_without_a_token_is_unreadable() {
    let server = Server::answering([Reply::json(201, &placed(&Value::Null))]).await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let order = NewOrder { customer_email: None, items: &[], language: None };
    let failure = orders.place_as_guest(Uuid::nil(), &order).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreadable { .. }), "{failure}");
}
