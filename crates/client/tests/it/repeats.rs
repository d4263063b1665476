//! Which calls are retried.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop_client::{Auth, Catalog, Failure, NewOrder, OnBehalf, Order, Orders, Owner, Search};
use tokio::net::{TcpListener, TcpSocket};
use url::Url;
use uuid::Uuid;

use crate::server::{Reply, Server};

fn order() -> Value {
    json!({
        "id": Uuid::nil(), "customer_email": "user@example.com", "total_amount": 500.0, "currency": "RUB",
        "status": "pending", "items": [], "created_at": "2026-01-02T03:04:05Z",
    })
}

fn problem(status: u16, slug: &str) -> Reply {
    Reply::json(status, &json!({ "type": format!("https://shop.dev/problems/{slug}") }))
}

async fn place(url: &Url) -> Result<Order, Failure> {
    let orders = Orders::new(url, &shop_client::http().unwrap());
    orders
        .place("t0ken", Uuid::from_u128(7), &NewOrder { customer_email: None, items: &[], language: None })
        .await
}

/// A port that refuses connections, and that nobody else can take.
fn closed() -> (TcpSocket, Url) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap()).parse().unwrap();
    (socket, url)
}

/// A port that accepts connections, and says nothing.
pub(crate) fn silent() -> (TcpListener, Url) {
    let (socket, url) = closed();
    (socket.listen(8).unwrap(), url)
}

#[tokio::test]
async fn an_order_whose_outcome_is_unclear_is_sent_again_with_its_key() {
    let placed = Reply::json(201, &order());
    for unclear in [
        Reply::With(500, None, Vec::new()),
        Reply::BreakingOff,
        Reply::With(201, None, b"<html>".to_vec()),
        problem(409, "idempotency-key-in-progress"),
    ] {
        let server = Server::answering([unclear.clone(), unclear, placed.clone()]).await;
        place(&server.url).await.unwrap();
        let asked = server.asked();
        assert_eq!(asked.len(), 3);
        for repeat in &asked {
            assert_eq!(repeat.headers["idempotency-key"], "\"00000000-0000-0000-0000-000000000007\"");
            assert_eq!((&repeat.body, &repeat.target), (&asked[0].body, &"/orders".to_owned()));
        }
    }
}

#[tokio::test]
async fn an_order_is_sent_three_times_at_most() {
    let server = Server::answering([Reply::With(500, None, Vec::new())]).await;
    assert!(place(&server.url).await.unwrap_err().perhaps_done());
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn an_order_is_not_sent_again_when_somebody_has_waited_long() {
    let server = Server::answering([Reply::Stalling]).await;
    let began = Instant::now();
    assert!(place(&server.url).await.unwrap_err().perhaps_done());
    assert_eq!(server.asked().len(), 2, "each took 5 seconds");
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_order_that_was_answered_is_not_sent_again() {
    for reply in [problem(503, "unavailable"), problem(409, "out-of-stock"), problem(401, "unauthorized")] {
        let server = Server::answering([reply]).await;
        assert!(!place(&server.url).await.unwrap_err().perhaps_done());
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn nothing_else_is_repeated_once_it_was_sent() {
    for reply in [Reply::With(500, None, Vec::new()), Reply::BreakingOff] {
        let server = Server::answering([reply]).await;
        let http = shop_client::http().unwrap();
        Catalog::new(&server.url, &http).search(&Search::all(1)).await.unwrap_err();
        let email = "user@example.com".parse().unwrap();
        Auth::new(&server.url, &http).log_in(&email, "password", OnBehalf::OURSELVES).await.err().unwrap();
        Orders::new(&server.url, &http).cancel(Owner::Account("t0ken"), order_id()).await.unwrap_err();
        assert_eq!(server.asked().len(), 3);
    }
}

fn order_id() -> shop_core::OrderId {
    shop_core::OrderId(Uuid::nil())
}

#[tokio::test]
async fn a_connection_that_is_refused_is_tried_once_more() {
    let (socket, url) = closed();
    let catalog = Catalog::new(&url, &shop_client::http().unwrap());
    let began = Instant::now();
    let failure = catalog.search(&Search::all(1)).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable { perhaps_done: false, .. }), "{failure}");
    assert!(began.elapsed() >= Duration::from_millis(100), "there was a second try");
    assert!(!failure.to_string().contains("127.0.0.1"), "{failure}");

    // It comes back while the second attempt waits.
    let back = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let listener: TcpListener = socket.listen(8).unwrap();
        Server::at(listener, [Reply::json(200, &json!([]))])
    };
    let search = Search::all(1);
    let (found, server) = tokio::join!(catalog.search(&search), back);
    assert!(found.unwrap().items.is_empty());
    assert_eq!(server.asked().len(), 1);
}
