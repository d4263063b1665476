//! An order's life: what is read of it, and how it is followed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop_client::{Failure, Happening, Life, Orders, Owner};
use shop_core::{OrderId, OrderStatus, events::CancellationCode};
use uuid::Uuid;

use crate::server::{Reply, Server, Then};

const ID: OrderId = OrderId(Uuid::nil());

fn order(more: &Value) -> Value {
    let mut order = json!({
        "id": Uuid::nil(), "customer_email": "user@example.com", "total_amount": 500.0, "currency": "RUB",
        "status": "pending", "items": [], "created_at": "2026-01-02T03:04:05Z",
    });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// A step as order_service streams it.
fn step(seq: u64, event: &str, status: &str) -> String {
    let data = json!({ "seq": seq, "at": "2026-01-02T03:04:05Z", "event": event, "status": status });
    format!("id: {seq}\nevent: {event}\ndata: {data}\n\n")
}

async fn followed(replies: impl IntoIterator<Item = Reply>, after: Option<u64>) -> (Server, Life) {
    let server = Server::answering(replies).await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let life = orders.follow(Owner::Account("t0ken"), ID, after).await.unwrap().expect("an order");
    (server, life)
}

/// The numbers of the steps until the end.
async fn rest(life: &mut Life) -> Vec<u64> {
    let mut steps = Vec::new();
    while let Some(step) = life.next().await.unwrap() {
        steps.push(step.seq);
    }
    steps
}

#[tokio::test]
async fn an_order_tells_its_life() {
    let told = order(&json!({
        "status": "cancelled", "tracking_number": "RB123", "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "cancellation": { "code": "out_of_stock", "reason": "2 of product 1 were wanted." },
        "timeline": [
            { "seq": 1, "at": "2026-01-02T03:04:05Z", "event": "placed" },
            { "seq": 2, "at": "2026-01-02T03:04:06Z", "event": "cancelled", "detail": "Not enough." },
        ],
    }));
    let server = Server::answering([Reply::json(200, &told)]).await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let order = orders.get(Owner::Guest("gu3st"), ID).await.unwrap().unwrap();
    assert_eq!(order.status, Some(OrderStatus::Cancelled));
    assert!(order.is_over() && !order.may_be_cancelled());
    assert_eq!(order.cancellation.as_ref().unwrap().code, CancellationCode::OutOfStock);
    assert_eq!(order.timeline[1].event, Happening::Cancelled);
    assert_eq!(order.timeline[1].detail.as_deref(), Some("Not enough."));
    assert_eq!((order.last_step(), order.tracking_number.as_deref()), (Some(2), Some("RB123")));
    let asked = &server.asked()[0];
    assert_eq!(asked.headers["x-order-token"], "gu3st");
    assert!(!asked.headers.contains_key("authorization") && !asked.target.contains("gu3st"), "{asked:?}");
}

#[tokio::test]
async fn what_only_a_newer_service_knows_is_no_reason_to_refuse_an_order() {
    let newer = order(&json!({
        "status": "returned", "gift": true, "cancellation": { "code": "by_weather" },
        "timeline": [
            { "seq": 1, "at": "2026-01-02T03:04:05Z", "event": "wrapped", "detail": { "paper": "red" } },
        ],
    }));
    let older = order(&json!({}));
    let server = Server::answering([Reply::json(200, &json!([newer, older]))]).await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let [newer, older] = orders.list("t0ken", None, 2).await.unwrap().items.try_into().unwrap();
    assert_eq!((newer.status, newer.timeline[0].event), (None, Happening::Other));
    assert_eq!(newer.timeline[0].detail, None);
    assert_eq!(newer.cancellation.as_ref().unwrap().code, CancellationCode::Unspecified);
    assert!(!newer.is_over() && !newer.may_be_cancelled());
    assert_eq!((older.status, older.last_step()), (Some(OrderStatus::Pending), None));
    assert!(older.may_be_cancelled() && older.cancellation.is_none());
}

#[tokio::test]
async fn an_administrator_ships_and_delivers() {
    let server = Server::answering([
        Reply::json(200, &order(&json!({ "status": "shipped" }))),
        Reply::json(200, &order(&json!({ "status": "shipped" }))),
        Reply::json(200, &order(&json!({ "status": "delivered" }))),
    ])
    .await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    assert_eq!(orders.ship("adm1n", ID, Some("RB123")).await.unwrap().status, Some(OrderStatus::Shipped));
    orders.ship("adm1n", ID, None).await.unwrap();
    assert_eq!(orders.deliver("adm1n", ID).await.unwrap().status, Some(OrderStatus::Delivered));
    let asked = server.asked();
    let bodies: Vec<_> = asked.iter().map(|asked| asked.body.clone()).collect();
    assert_eq!(bodies, [json!({ "tracking_number": "RB123" }), json!({}), Value::Null]);
    let targets: Vec<_> = asked.iter().map(|asked| asked.target.replace(&ID.to_string(), "{id}")).collect();
    assert_eq!(targets, ["/orders/{id}/ship", "/orders/{id}/ship", "/orders/{id}/deliver"]);
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == "Bearer adm1n"));
}

#[tokio::test]
async fn a_life_is_told_step_by_step_and_ends_with_the_stream() {
    let text = [step(1, "placed", "pending"), ": ping\n\n".to_owned(), step(2, "cancelled", "cancelled")];
    let (server, mut life) = followed([Reply::Events(text.concat(), Then::End)], None).await;
    let first = life.next().await.unwrap().unwrap();
    assert_eq!((first.seq, first.event, first.status), (1, Happening::Placed, Some(OrderStatus::Pending)));
    assert_eq!(rest(&mut life).await, [2]);
    assert!(life.next().await.unwrap().is_none(), "it stays over");
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].target, format!("/orders/{ID}/events"));
    assert_eq!(asked[0].headers["accept"], "text/event-stream");
    assert!(!asked[0].headers.contains_key("last-event-id"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_ends_too_early_is_opened_again_where_it_was() {
    let (server, mut life) = followed(
        [
            Reply::Events(step(3, "placed", "pending"), Then::BreakOff),
            Reply::With(503, None, Vec::new()),
            // The service repeats one, and stops.
            Reply::Events(step(3, "placed", "pending") + &step(4, "confirmed", "confirmed"), Then::End),
            Reply::Events(step(5, "shipped", "shipped") + &step(6, "delivered", "delivered"), Then::End),
        ],
        Some(2),
    )
    .await;
    assert_eq!(rest(&mut life).await, [3, 4, 5, 6]);
    let after: Vec<_> = server.asked().iter().map(|asked| asked.headers["last-event-id"].clone()).collect();
    assert_eq!(after, ["2", "3", "3", "4"]);
}

#[tokio::test]
async fn a_stream_without_news_is_given_up() {
    let began = Instant::now();
    let (server, mut life) = followed([Reply::Events(String::new(), Then::End)], None).await;
    assert_eq!(rest(&mut life).await, [0; 0]);
    assert_eq!(server.asked().len(), 6);
    assert!(began.elapsed() > Duration::from_secs(5), "with pauses: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_service_that_does_not_come_back_is_a_failure() {
    let placed = Reply::Events(step(1, "placed", "pending"), Then::End);
    let (server, mut life) = followed([placed.clone(), Reply::With(500, None, Vec::new())], None).await;
    assert_eq!(life.next().await.unwrap().unwrap().seq, 1);
    assert!(matches!(life.next().await, Err(Failure::Unavailable { .. })));
    assert_eq!(server.asked().len(), 6);
    // But a refusal is final at once.
    let (server, mut life) = followed([placed, Reply::With(401, None, Vec::new())], None).await;
    assert_eq!(life.next().await.unwrap().unwrap().seq, 1);
    assert!(matches!(life.next().await, Err(Failure::Unauthorized(_))));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn an_order_that_is_not_the_callers_has_no_life_and_one_that_is_over_no_more_of_it() {
    let server = Server::answering([
        Reply::With(404, None, Vec::new()),
        Reply::With(204, None, Vec::new()),
        Reply::With(200, Some(("content-type", "text/html")), b"<html>".to_vec()),
        Reply::Events(format!("data: {}\n\n", "x".repeat(20_000)), Then::Silence),
    ])
    .await;
    let orders = Orders::new(&server.url, &shop_client::http().unwrap());
    let follow = || orders.follow(Owner::Guest("gu3st"), ID, Some(9));
    assert!(follow().await.unwrap().is_none());
    assert!(follow().await.unwrap().unwrap().next().await.unwrap().is_none());
    assert!(matches!(follow().await.unwrap_err(), Failure::Unreadable { .. }));
    let mut endless = follow().await.unwrap().unwrap();
    let failure = endless.next().await.unwrap_err();
    assert!(failure.to_string().ends_with("an event has more than 16384 bytes"), "{failure}");
}

#[tokio::test]
async fn an_open_stream_outlives_the_time_for_other_answers_and_a_head_does_not() {
    let (_server, mut life) =
        followed([Reply::Events(step(1, "placed", "pending"), Then::Silence)], None).await;
    assert_eq!(life.next().await.unwrap().unwrap().seq, 1);
    let silent = tokio::time::timeout(Duration::from_secs(7), life.next()).await;
    assert!(silent.is_err(), "other answers have 5 seconds");

    let (socket, url) = crate::repeats::silent();
    let began = Instant::now();
    let orders = Orders::new(&url, &shop_client::http().unwrap());
    let failure = orders.follow(Owner::Account("t0ken"), ID, None).await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable { .. }), "{failure}");
    assert!((4..7).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    drop(socket);
}
