use std::collections::HashSet;

use chrono::TimeDelta;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;

use crate::{
    fake_catalog::Mood,
    harness::{Orders, Who, on_both_databases, one_of, send},
};

on_both_databases!(
    a_repeated_request_gets_the_same_answer,
    the_answer_stays_what_it_was_when_the_order_has_changed,
    another_body_under_the_same_key_is_refused,
    twenty_at_once_place_one_order,
    a_refusal_frees_the_key,
    an_answer_is_kept_for_a_day,
    a_key_is_its_customers_own,
    a_malformed_key_is_refused,
);

async fn a_repeated_request_gets_the_same_answer(orders: Orders) {
    let first = orders.post_with_key(Who::Anna, "\"k-1\"", &one_of(Who::Anna, 1)).await.expect(201, "");
    orders.catalog.is(Mood::Failing);
    let spaced = r#" { "items" : [ {"quantity":1, "product_id":1} ], "customer_email":"anna@example.com" } "#;
    let request =
        orders.request(Method::POST, "/orders").header("Content-Type", "application/json").body(spaced);
    let request = request.header("Idempotency-Key", "k-1").bearer_auth(Who::Anna.token().unwrap());
    let again = send(request).await.expect(201, "");
    assert_eq!((&again.text, again.header("location")), (&first.text, first.header("location")));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!((orders.count("orders").await, orders.count("outbox_messages").await), (1, 1));
}

async fn the_answer_stays_what_it_was_when_the_order_has_changed(orders: Orders) {
    let body = one_of(Who::Anna, 1);
    let first = orders.post_with_key(Who::Anna, "k", &body).await.expect(201, "");
    orders.cancel(Who::Anna, &first.id()).await.expect(200, "");
    assert_eq!(orders.post_with_key(Who::Anna, "k", &body).await.expect(201, "").text, first.text);
}

async fn another_body_under_the_same_key_is_refused(orders: Orders) {
    orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 1)).await.expect(201, "");
    let other = orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 2)).await;
    other.expect(422, "idempotency-key-reused");
    assert_eq!(orders.count("orders").await, 1);
}

async fn twenty_at_once_place_one_order(orders: Orders) {
    let body = one_of(Who::Guest, 1);
    let answers = join_all((0..20).map(|_| orders.post_with_key(Who::Guest, "k", &body))).await;
    let mut texts = HashSet::new();
    for answer in answers {
        if answer.status == 201 {
            texts.insert(answer.text);
        } else {
            let running = answer.expect(409, "idempotency-key-in-progress");
            assert_eq!(running.header("retry-after"), Some("1"));
        }
    }
    texts.insert(orders.post_with_key(Who::Guest, "k", &body).await.expect(201, "").text);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!((orders.count("orders").await, orders.count("outbox_messages").await), (1, 1));
}

async fn a_refusal_frees_the_key(orders: Orders) {
    orders.catalog.is(Mood::Failing);
    orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 1)).await.expect(503, "unavailable");
    orders.catalog.is(Mood::Well);
    orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 2)).await.expect(201, "");
}

async fn an_answer_is_kept_for_a_day(orders: Orders) {
    let first = orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 1)).await.expect(201, "");
    orders.clock.advance(TimeDelta::hours(24));
    let again = orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 1)).await.expect(201, "");
    assert_eq!(again.text, first.text);
    orders.clock.advance(TimeDelta::seconds(1));
    let anew = orders.post_with_key(Who::Anna, "k", &one_of(Who::Anna, 2)).await.expect(201, "");
    assert_ne!(anew.id(), first.id());
}

async fn a_key_is_its_customers_own(orders: Orders) {
    let mut ids = HashSet::new();
    for who in [Who::Anna, Who::Boris, Who::Admin, Who::Guest] {
        ids.insert(orders.post_with_key(who, "k", &one_of(who, 1)).await.expect(201, "").id());
    }
    let guest =
        json!({ "customer_email": "other@example.com", "items": [{ "product_id": 1, "quantity": 1 }] });
    ids.insert(orders.post_with_key(Who::Guest, "k", &guest).await.expect(201, "").id());
    assert_eq!(ids.len(), 5);
}

async fn a_malformed_key_is_refused(orders: Orders) {
    for key in ["", "\"\"", "\"open", "two words", &"x".repeat(256)] {
        orders.post_with_key(Who::Anna, key, &one_of(Who::Anna, 1)).await.expect(400, "malformed-request");
    }
    let request = orders.request(Method::POST, "/orders").json(&one_of(Who::Guest, 1));
    let twice = request.header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    send(twice).await.expect(400, "malformed-request");
    orders.post_with_key(Who::Anna, &"x".repeat(255), &one_of(Who::Anna, 1)).await.expect(201, "");
}
