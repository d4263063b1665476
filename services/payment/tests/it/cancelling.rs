//! An order is cancelled before, while and after it is charged.

use crate::harness::{Place, on_both};

on_both!(
    a_cancellation_that_comes_first_prevents_the_charge,
    an_order_that_could_not_be_charged_yet_is_never_charged,
    a_charge_that_is_under_way_is_refunded,
    an_unknown_outcome_is_settled_and_refunded,
    an_unknown_outcome_that_was_no_charge_ends_without_one,
    a_processed_payment_is_refunded_once,
    a_declined_payment_needs_no_refund,
);

async fn a_cancellation_that_comes_first_prevents_the_charge(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_000);
    place.cancelled(order).await;
    payments.until("it is remembered", async || place.count("cancelled_orders").await == 1).await;
    assert_eq!(payments.payment(order).await, None);
    place.reserved(order).await;
    let payment = payments.reaches(order, "cancelled").await;
    assert_eq!(payment["attempts"], 0);
    // A later order is charged: the worker has looked since.
    let later = place.order(50_000);
    place.reserved(later).await;
    payments.reaches(later, "processed").await;
    assert!(payments.charges(order).await.is_empty());
    assert!(place.announced(order).await.is_empty());
}

async fn an_order_that_could_not_be_charged_yet_is_never_charged(place: Place) {
    let payments = place.payments(|_| {}).await;
    payments.switch("outage", true).await;
    let order = place.order(50_000);
    place.reserved(order).await;
    payments
        .until("an attempt", async || {
            payments.payment(order).await.is_some_and(|payment| payment["attempts"] != 0)
        })
        .await;
    place.cancelled(order).await;
    payments.reaches(order, "cancelled").await;
    payments.switch("outage", false).await;
    let later = place.order(50_000);
    place.reserved(later).await;
    payments.reaches(later, "processed").await;
    assert!(payments.charges(order).await.is_empty());
    assert!(place.announced(order).await.is_empty());
}

async fn a_charge_that_is_under_way_is_refunded(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_002);
    place.reserved(order).await;
    payments
        .until("the call", async || {
            payments.payment(order).await.is_some_and(|payment| payment["attempts"] == 1)
        })
        .await;
    place.cancelled(order).await;
    payments.reaches(order, "refunded").await;
    assert_eq!(payments.charges(order).await, ["refunded"]);
    assert_eq!(place.announced(order).await, ["payment_processed", "payment_refunded"]);
}

async fn an_unknown_outcome_is_settled_and_refunded(place: Place) {
    let payments = place.payments(|config| config.call_timeout_ms = 400).await;
    let order = place.order(50_004);
    place.reserved(order).await;
    payments.until("the charge", async || payments.charges(order).await == ["charged"]).await;
    assert_eq!(payments.payment(order).await.unwrap()["state"], "pending");
    place.cancelled(order).await;
    payments.reaches(order, "refunded").await;
    assert_eq!(payments.charges(order).await, ["refunded"]);
    assert_eq!(place.announced(order).await, ["payment_processed", "payment_refunded"]);
    let events = place.events(order).await;
    assert_eq!(events[1].2["amount"], 500.04);
}

async fn an_unknown_outcome_that_was_no_charge_ends_without_one(place: Place) {
    let payments = place.payments(|_| {}).await;
    // Fails, and it is not known how.
    let order = place.order(50_003);
    place.reserved(order).await;
    let failed = r#"payment_provider_calls_total{provider="simulated",operation="charge",result="unknown"}"#;
    payments.until("a failure", async || payments.metric(failed).await >= 1).await;
    place.cancelled(order).await;
    payments.reaches(order, "cancelled").await;
    assert!(payments.charges(order).await.is_empty());
    assert!(place.announced(order).await.is_empty());
    let void = r#"payment_provider_calls_total{provider="simulated",operation="void",result="void"}"#;
    assert_eq!(payments.metric(void).await, 1, "the provider accepts no charge for it any more");
}

async fn a_processed_payment_is_refunded_once(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_000);
    place.reserved(order).await;
    payments.reaches(order, "processed").await;
    // The same message twice, and another one.
    let first = place.cancellation(order);
    place.publish(&[first.clone(), first, place.cancellation(order)]).await;
    payments.reaches(order, "refunded").await;
    let handled = r#"consumer_handled_total{queue="payment",event_type="order_cancelled"}"#;
    payments.until("both are handled", async || payments.metric(handled).await == 2).await;
    assert_eq!(payments.charges(order).await, ["refunded"]);
    assert_eq!(place.announced(order).await, ["payment_processed", "payment_refunded"]);
    assert_eq!(payments.metric(r#"payments_total{outcome="refunded",reason=""}"#).await, 1);
}

async fn a_declined_payment_needs_no_refund(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_001);
    place.reserved(order).await;
    payments.reaches(order, "failed").await;
    // As the order service does on the failure.
    place.cancelled(order).await;
    let handled = r#"consumer_handled_total{queue="payment",event_type="order_cancelled"}"#;
    payments.until("it is handled", async || payments.metric(handled).await == 1).await;
    assert_eq!(payments.payment(order).await.unwrap()["state"], "failed");
    assert_eq!(place.announced(order).await, ["payment_failed"]);
}
