//! `Prefer: wait=N`: the response to a new order waits until it is settled.

use std::time::{Duration, Instant};

use http::Method;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Orders, Who, as_caller, on_both_backends, one_of, send, until},
    news::{payment_processed, stock_rejected},
};

on_both_backends!(
    the_response_shows_the_settled_order,
    when_the_time_is_up_the_order_is_shown_as_it_is,
    without_the_preference_nobody_waits,
    a_repeated_request_waits_for_the_same_order,
    a_stopping_service_waits_no_longer,
);

fn order(orders: &Orders, who: Who, prefer: &str) -> RequestBuilder {
    let request = orders.request(Method::POST, "/orders").json(&one_of(who, 1)).header("Prefer", prefer);
    as_caller(request, who)
}

/// The id of the one pending order, once it is there.
async fn pending(orders: &Orders) -> String {
    let pending = async || {
        let list = orders.get(Who::Admin, "/orders").await.expect(200, "").json();
        let list = list.as_array().unwrap();
        let pending = list.iter().find(|order| order["status"] == "pending");
        pending.map(|order| order["id"].as_str().unwrap().to_owned())
    };
    until("it is placed", async || pending().await.is_some()).await;
    pending().await.unwrap()
}

fn applied(answer: &Answer) -> Option<&str> {
    answer.header("preference-applied")
}

async fn the_response_shows_the_settled_order(orders: Orders) {
    let settle = async {
        let id = pending(&orders).await;
        orders.tell([(&*id, payment_processed(&id))]).await;
        id
    };
    let (answer, id) = tokio::join!(send(order(&orders, Who::Guest, "wait=10")), settle);
    let answer = answer.expect(201, "");
    assert_eq!((applied(&answer), answer.id()), (Some("wait=10"), id.clone()));
    assert_eq!(answer.header("location"), Some(format!("/orders/{id}").as_str()));
    let mut shown = answer.json();
    assert_eq!(
        (&shown["status"], &shown["timeline"][2]["event"]),
        (&json!("confirmed"), &json!("confirmed"))
    );
    let token = shown.as_object_mut().unwrap().remove("order_token").unwrap();
    let read = orders.get_with(token.as_str().unwrap(), &format!("/orders/{id}")).await.expect(200, "");
    assert_eq!(read.json(), shown);

    let refuse = async {
        let id = pending(&orders).await;
        orders.tell([(&*id, stock_rejected(&id))]).await;
    };
    let (answer, ()) = tokio::join!(send(order(&orders, Who::Anna, "respond-async, wait=\"10\"")), refuse);
    let shown = answer.expect(201, "").json();
    assert_eq!(
        (&shown["status"], &shown["cancellation"]["code"]),
        (&json!("cancelled"), &json!("out_of_stock"))
    );
    assert_eq!(shown.get("order_token"), None);
    until("nobody waits", async || orders.metric("orders_watchers").await == Some(0)).await;
}

async fn when_the_time_is_up_the_order_is_shown_as_it_is(orders: Orders) {
    let began = Instant::now();
    let answer = send(order(&orders, Who::Anna, "wait=1")).await.expect(201, "");
    assert!((1.0..5.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!((applied(&answer), &answer.json()["status"]), (Some("wait=1"), &json!("pending")));
    // The head does not wait.
    let began = Instant::now();
    let response = order(&orders, Who::Anna, "wait=3").send().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(response.status(), 201);
    let metrics = send(orders.request(Method::GET, "/metrics")).await.text;
    assert!(metrics.contains("http_server_active_requests 0\n"), "it is not in flight");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], "pending");
    let nothing = send(order(&orders, Who::Anna, "wait=0")).await.expect(201, "");
    assert_eq!(applied(&nothing), Some("wait=0"));
}

async fn without_the_preference_nobody_waits(orders: Orders) {
    for prefer in ["return=minimal", "wait", "wait=soon"] {
        let began = Instant::now();
        let answer = send(order(&orders, Who::Anna, prefer)).await.expect(201, "");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!((applied(&answer), answer.json().get("timeline")), (None, None));
    }
}

async fn a_repeated_request_waits_for_the_same_order(orders: Orders) {
    let body = one_of(Who::Guest, 1);
    let waiting = |prefer| order(&orders, Who::Guest, prefer).header("Idempotency-Key", "k");
    let first = send(waiting("wait=0")).await.expect(201, "");
    let settle = async {
        let id = pending(&orders).await;
        orders.tell([(&*id, payment_processed(&id))]).await;
    };
    let (again, ()) = tokio::join!(send(waiting("wait=10")), settle);
    let (first, settled) = (first.json(), again.expect(201, "").json());
    assert_eq!((&first["status"], &settled["status"]), (&json!("pending"), &json!("confirmed")));
    for name in ["id", "order_token", "items", "created_at"] {
        assert_eq!(first[name], settled[name], "{name}");
    }
    // Without the preference it is the first response, as it was.
    let plain = orders.post_with_key(Who::Guest, "k", &body).await.expect(201, "");
    assert_eq!((applied(&plain), &plain.json()["status"]), (None, &json!("pending")));
    assert_eq!(plain.text, orders.post_with_key(Who::Guest, "k", &body).await.text);
    assert_eq!((orders.count("orders").await, orders.count("outbox_messages").await), (1, 2));
}

async fn a_stopping_service_waits_no_longer(orders: Orders) {
    let began = Instant::now();
    let stop = async {
        pending(&orders).await;
        until("somebody waits", async || orders.metric("orders_watchers").await == Some(1)).await;
        orders.lifecycle.stop();
    };
    let (answer, ()) = tokio::join!(send(order(&orders, Who::Anna, "wait=30")), stop);
    assert_eq!(answer.expect(201, "").json()["status"], "pending");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
