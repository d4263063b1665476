//! Webhooks of the simulated provider: they are a reason to ask it, and never believed.

use std::time::Duration;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use tokio::time::sleep;

use crate::harness::{Answer, Order, Payments, Place, WEBHOOK_SECRET, on_both};

on_both!(
    a_webhook_makes_the_service_ask_at_once,
    a_webhook_is_not_believed,
    only_signed_webhooks_are_taken,
    without_a_secret_no_webhook_is_taken,
);

pub(crate) fn signed(secret: &str, body: &str, at: DateTime<Utc>) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{}.{body}", at.timestamp()).as_bytes());
    let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={},v1={hex}", at.timestamp())
}

fn body(order: Order, kind: &str) -> String {
    let id = order.id;
    format!(r#"{{"id":"evt_1","type":"{kind}","created":1,"data":{{"order_id":"{id}"}}}}"#)
}

async fn post(payments: &Payments, body: &str, signature: &str) -> Answer {
    let request = payments.request(Method::POST, "/webhooks/simulated");
    let request = request.header("Simulated-Signature", signature).header("content-type", "application/json");
    payments.send(request.body(body.to_owned())).await
}

async fn a_webhook_makes_the_service_ask_at_once(place: Place) {
    let place = place.with_manual_clock();
    let payments = place.payments(|config| config.call_timeout_ms = 300).await;
    let order = place.order(50_004);
    place.reserved(order).await;
    let unknown = r#"payment_provider_calls_total{provider="simulated",operation="charge",result="unknown"}"#;
    payments.until("it is in doubt", async || payments.metric(unknown).await == 1).await;
    sleep(Duration::from_millis(1200)).await;
    // The clock stands, so it is not due.
    assert_eq!(payments.payment(order).await.unwrap()["state"], "pending");
    let body = body(order, "charge.succeeded");
    post(&payments, &body, &signed(WEBHOOK_SECRET, &body, place.clock.now())).await.expect(204, "");
    payments.reaches(order, "processed").await;
    assert_eq!(payments.metric("payment_webhooks_total").await, 1);
}

async fn a_webhook_is_not_believed(place: Place) {
    let place = place.with_manual_clock();
    let payments = place.payments(|_| {}).await;
    payments.switch("outage", true).await;
    let order = place.order(50_000);
    place.reserved(order).await;
    payments
        .until("an attempt", async || {
            payments.payment(order).await.is_some_and(|payment| payment["attempts"] == 1)
        })
        .await;
    for kind in ["charge.succeeded", "charge.refunded", "charge.failed"] {
        let body = body(order, kind);
        post(&payments, &body, &signed(WEBHOOK_SECRET, &body, place.clock.now())).await.expect(204, "");
    }
    // Of an order that nobody knows, and of nothing that concerns an order.
    for body in [body(place.order(1), "charge.succeeded"), "{}".to_owned(), "rubbish".to_owned()] {
        post(&payments, &body, &signed(WEBHOOK_SECRET, &body, place.clock.now())).await.expect(204, "");
    }
    sleep(Duration::from_secs(1)).await;
    let payment = payments.payment(order).await.unwrap();
    assert_eq!((&payment["state"], &payment["attempts"]), (&"pending".into(), &1.into()));
    assert!(place.announced(order).await.is_empty());
}

async fn only_signed_webhooks_are_taken(place: Place) {
    let payments = place.payments(|_| {}).await;
    let body = body(place.order(50_000), "charge.succeeded");
    let now = place.clock.now();
    for signature in [
        String::new(),
        "t=1,v1=00".to_owned(),
        signed("another secret", &body, now),
        signed(WEBHOOK_SECRET, "{}", now),
        signed(WEBHOOK_SECRET, &body, now - TimeDelta::seconds(310)),
        signed(WEBHOOK_SECRET, &body, now + TimeDelta::seconds(310)),
    ] {
        post(&payments, &body, &signature).await.expect(400, "bad-signature");
    }
    let large = "x".repeat(70_000);
    post(&payments, &large, &signed(WEBHOOK_SECRET, &large, now)).await.expect(413, "body-too-large");
    let stripe = payments.request(Method::POST, "/webhooks/stripe");
    let stripe = stripe.header("Stripe-Signature", signed(WEBHOOK_SECRET, &body, now)).body(body.clone());
    payments.send(stripe).await.expect(404, "not-found");
    post(&payments, &body, &signed(WEBHOOK_SECRET, &body, now)).await.expect(204, "");
}

async fn without_a_secret_no_webhook_is_taken(place: Place) {
    let payments = place.payments(|config| config.webhook_secret = None).await;
    let body = body(place.order(50_000), "charge.succeeded");
    let unsigned = post(&payments, &body, &signed("", &body, place.clock.now())).await;
    unsigned.expect(404, "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_provider_sends_signed_webhooks() {
    let place = Place::embedded().await;
    // It sends them to another replica, whose address is known.
    let receiving = place.payments(|_| {}).await;
    let url = format!("{}/webhooks/simulated", receiving.url).parse().unwrap();
    let payments = place.payments(|config| config.simulated.webhook_url = Some(url)).await;
    // Both work on payments, and only one of them sends webhooks.
    let sent = async || {
        let charged =
            r#"payment_provider_calls_total{provider="simulated",operation="charge",result="charged"}"#;
        payments.metric(charged).await
    };
    while sent().await == 0 {
        let order = place.order(50_000);
        place.reserved(order).await;
        payments.reaches(order, "processed").await;
    }
    receiving.until("they arrive", async || receiving.metric("payment_webhooks_total").await >= 1).await;
}
