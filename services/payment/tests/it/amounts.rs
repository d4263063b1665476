//! Every test amount of docs/payments.md.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::harness::{Place, on_both};

on_both!(
    an_amount_is_approved,
    an_amount_that_ends_in_01_is_declined,
    an_amount_that_ends_in_02_takes_two_seconds,
    an_amount_that_ends_in_03_works_at_the_third_attempt,
    an_amount_that_ends_in_04_is_charged_although_nobody_says_so,
    an_amount_that_ends_in_05_waits_until_it_is_switched_on,
);

async fn an_amount_is_approved(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_000);
    place.reserved(order).await;
    let payment = payments.reaches(order, "processed").await;
    assert_eq!(payment["attempts"], 1);
    assert_eq!(payments.charges(order).await, ["charged"]);
    let events = place.events(order).await;
    let [(event_type, 1, event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event_type, "payment_processed");
    assert_eq!((&event["order_id"], &event["payment_id"]), (&payment["order_id"], &payment["id"]));
    assert_eq!((&event["amount"], &event["currency"]), (&500.0.into(), &"RUB".into()));
    assert_eq!(payments.metric(r#"payments_total{outcome="processed",reason=""}"#).await, 1);
}

async fn an_amount_that_ends_in_01_is_declined(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_001);
    place.reserved(order).await;
    let payment = payments.reaches(order, "failed").await;
    assert_eq!(payment["reason"], "The card was declined.");
    assert_eq!(payments.charges(order).await, ["declined"]);
    let events = place.events(order).await;
    let [(event_type, 1, event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event_type.as_str(), &event["code"]), ("payment_failed", &"declined".into()));
}

async fn an_amount_that_ends_in_02_takes_two_seconds(place: Place) {
    let payments = place.payments(|_| {}).await;
    let (slow, quick) = (place.order(50_002), place.order(50_000));
    let began = Instant::now();
    place.reserved(slow).await;
    place.reserved(quick).await;
    payments.reaches(quick, "processed").await;
    assert!(began.elapsed() < Duration::from_secs(2), "one slow payment holds up no other");
    assert_eq!(payments.payment(slow).await.unwrap()["state"], "pending");
    payments.reaches(slow, "processed").await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(payments.charges(slow).await, ["charged"]);
}

async fn an_amount_that_ends_in_03_works_at_the_third_attempt(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_003);
    place.reserved(order).await;
    let payment = payments.reaches(order, "processed").await;
    // A charge, and after each of the two failures a question and another charge.
    assert_eq!(payment["attempts"], 5);
    assert_eq!(payments.charges(order).await, ["charged"]);
    assert_eq!(place.announced(order).await, ["payment_processed"]);
    let asked = r#"payment_provider_calls_total{provider="simulated",operation="ask",result="missing"}"#;
    assert_eq!(payments.metric(asked).await, 2);
}

async fn an_amount_that_ends_in_04_is_charged_although_nobody_says_so(place: Place) {
    let payments = place.payments(|config| config.call_timeout_ms = 400).await;
    let order = place.order(50_004);
    place.reserved(order).await;
    let payment = payments.reaches(order, "processed").await;
    assert_eq!(payment["attempts"], 2, "a charge and a question");
    assert_eq!(payments.charges(order).await, ["charged"]);
    assert_eq!(place.announced(order).await, ["payment_processed"]);
}

async fn an_amount_that_ends_in_05_waits_until_it_is_switched_on(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_005);
    place.reserved(order).await;
    let refused =
        r#"payment_provider_calls_total{provider="simulated",operation="charge",result="not_done"}"#;
    payments.until("two attempts", async || payments.metric(refused).await >= 2).await;
    assert_eq!(payments.payment(order).await.unwrap()["state"], "pending");
    assert!(payments.charges(order).await.is_empty());
    payments.switch("unavailable-amounts", false).await;
    payments.reaches(order, "processed").await;
    assert_eq!(payments.charges(order).await, ["charged"]);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(place.announced(order).await, ["payment_processed"]);
}
