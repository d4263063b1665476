//! The provider is away for a while, or for too long.

use std::time::Duration;

use chrono::TimeDelta;
use http::Method;
use tokio::time::sleep;

use crate::harness::{Payments, Place, on_both};

on_both!(
    payments_wait_for_a_provider_that_is_away,
    a_provider_that_stays_away_is_given_up_if_it_has_charged_nothing,
    a_payment_in_doubt_is_not_given_up_until_the_provider_is_asked,
    no_charge_begins_after_its_reservation_has_ended,
    a_setting_keeps_the_provider_away,
);

async fn readiness(payments: &Payments) -> (String, String) {
    let ready = payments.send(payments.request(Method::GET, "/readyz")).await.expect(200, "").json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    (text(&ready["status"]), text(&ready["dependencies"]["payment provider"]))
}

async fn payments_wait_for_a_provider_that_is_away(place: Place) {
    let payments = place.payments(|_| {}).await;
    assert_eq!(readiness(&payments).await, ("ok".to_owned(), "ok".to_owned()));
    payments.switch("outage", true).await;
    let orders: Vec<_> = (0..8).map(|_| place.order(50_000)).collect();
    for order in &orders {
        place.reserved(*order).await;
    }
    payments.until("the breaker opens", async || payments.metric("payments_breaker_open").await == 1).await;
    // It still takes events and answers requests.
    assert_eq!(readiness(&payments).await, ("degraded".to_owned(), "unavailable".to_owned()));
    let calls = r#"payment_provider_calls_total{provider="simulated",operation="charge",result="not_done"}"#;
    let before = payments.metric(calls).await;
    sleep(Duration::from_secs(2)).await;
    assert!(payments.metric(calls).await <= before + 1, "an open breaker spares the provider");
    payments.switch("outage", false).await;
    for order in orders {
        payments.reaches(order, "processed").await;
        assert_eq!(place.announced(order).await, ["payment_processed"]);
    }
    assert_eq!(readiness(&payments).await.0, "ok");
    assert_eq!(payments.metric("payments_breaker_open").await, 0);
}

async fn a_provider_that_stays_away_is_given_up_if_it_has_charged_nothing(place: Place) {
    let place = place.with_manual_clock();
    let payments = place.payments(|config| config.give_up_seconds = 300).await;
    payments.switch("outage", true).await;
    let order = place.order(50_000);
    place.reserved(order).await;
    payments
        .until("an attempt", async || {
            payments.payment(order).await.is_some_and(|payment| payment["attempts"] == 1)
        })
        .await;
    place.clock.advance(TimeDelta::seconds(299));
    payments
        .until("another one", async || {
            payments.payment(order).await.is_some_and(|payment| payment["attempts"] == 2)
        })
        .await;
    assert_eq!(payments.payment(order).await.unwrap()["state"], "pending");
    place.clock.advance(TimeDelta::seconds(5));
    let payment = payments.reaches(order, "failed").await;
    assert!(payment["reason"].as_str().unwrap().contains("could not be reached"), "{payment}");
    let events = place.events(order).await;
    let [(event_type, 1, event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event_type.as_str(), &event["code"]), ("payment_failed", &"unavailable".into()));
    payments.switch("outage", false).await;
    place.clock.advance(TimeDelta::hours(1));
    sleep(Duration::from_secs(1)).await;
    assert!(payments.charges(order).await.is_empty());
}

async fn a_payment_in_doubt_is_not_given_up_until_the_provider_is_asked(place: Place) {
    let place = place.with_manual_clock();
    let payments = place.payments(|config| config.call_timeout_ms = 300).await;
    // The first is charged although nobody says so; the second fails, and is not.
    let (charged, not_charged) = (place.order(50_004), place.order(50_003));
    for order in [charged, not_charged] {
        place.reserved(order).await;
    }
    let unknown = r#"payment_provider_calls_total{provider="simulated",operation="charge",result="unknown"}"#;
    payments.until("both are in doubt", async || payments.metric(unknown).await == 2).await;
    payments.switch("outage", true).await;
    for _ in 0..5 {
        place.clock.advance(TimeDelta::minutes(20));
        sleep(Duration::from_millis(700)).await;
    }
    for order in [charged, not_charged] {
        let payment = payments.payment(order).await.unwrap();
        assert_eq!(payment["state"], "pending", "{payment}");
        assert!(place.announced(order).await.is_empty());
    }
    payments.switch("outage", false).await;
    place.passes_until(&payments, charged, "processed").await;
    place.passes_until(&payments, not_charged, "failed").await;
    assert_eq!(place.announced(charged).await, ["payment_processed"]);
    assert_eq!(place.announced(not_charged).await, ["payment_failed"]);
    assert!(payments.charges(not_charged).await.is_empty());
}

async fn no_charge_begins_after_its_reservation_has_ended(place: Place) {
    let place = place.with_manual_clock();
    let order = place.order(50_000);
    let payments = place.payments(|config| config.give_up_seconds = 86_400).await;
    payments.stop().await;
    place.reserved(order).await;
    place.clock.advance(TimeDelta::seconds(1801));
    let payments = place.payments(|config| config.give_up_seconds = 86_400).await;
    let payment = payments.reaches(order, "failed").await;
    assert_eq!(payment["attempts"], 0);
    assert!(payments.charges(order).await.is_empty());
}

async fn a_setting_keeps_the_provider_away(place: Place) {
    let payments = place.payments(|config| config.simulated.outage = true).await;
    let order = place.order(50_000);
    place.reserved(order).await;
    let refused =
        r#"payment_provider_calls_total{provider="simulated",operation="charge",result="not_done"}"#;
    payments.until("an attempt", async || payments.metric(refused).await >= 1).await;
    payments.stop().await;
    let payments = place.payments(|_| {}).await;
    payments.reaches(order, "processed").await;
}
