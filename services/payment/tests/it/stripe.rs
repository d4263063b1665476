//! Payments by Stripe, with a stand-in for its API.

use std::time::Duration;

use chrono::TimeDelta;
use http::Method;
use payment::ProviderKind;
use shop_runtime::auth::Role;
use tokio::time::sleep;

use crate::{
    harness::{Payments, Place, WEBHOOK_SECRET},
    stripe_api::{Fault, KEY, StripeApi},
    webhooks::signed,
};

/// A service that charges by `stripe` with `method`.
async fn payments_by(place: &Place, stripe: &StripeApi, method: &str) -> Payments {
    place
        .payments(|config| {
            config.provider = ProviderKind::Stripe;
            config.stripe.url = stripe.url.parse().unwrap();
            config.stripe.secret_key = Some(KEY.into());
            config.stripe.method = method.to_owned();
        })
        .await
}

async fn stripe() -> (Place, StripeApi, Payments) {
    let (place, stripe) = (Place::embedded().await, StripeApi::start().await);
    let payments = payments_by(&place, &stripe, "pm_card_visa").await;
    (place, stripe, payments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_one_payment_intent() {
    let (place, stripe, payments) = stripe().await;
    let order = place.order(150_050);
    place.reserved(order).await;
    let payment = payments.reaches(order, "processed").await;
    assert_eq!((&payment["provider"], &payment["attempts"]), (&"stripe".into(), &1.into()));
    let intent = stripe.intent();
    assert_eq!((intent.form["amount"].as_str(), intent.form["currency"].as_str()), ("150050", "rub"));
    assert_eq!(intent.form["payment_method"], "pm_card_visa");
    assert_eq!(intent.form["metadata[order_id]"], order.id.to_string());
    assert_eq!(intent.charges, 1);
    assert_eq!(place.announced(order).await, ["payment_processed"]);
    payments.get_as(Role::Admin, "/simulated/charges").await.expect(404, "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_declined_or_needs_consent_fails() {
    let (place, stripe) = (Place::embedded().await, StripeApi::start().await);
    for method in ["pm_card_chargeDeclined", "pm_card_authenticationRequired"] {
        let payments = payments_by(&place, &stripe, method).await;
        let order = place.order(50_000);
        place.reserved(order).await;
        let payment = payments.reaches(order, "failed").await;
        assert_eq!(payment["reason"], "Your card was declined.", "{method}");
        assert_eq!(place.events(order).await[0].2["code"], "declined");
        payments.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_asked_about_and_nothing_is_charged_twice() {
    for (endpoint, faults) in [
        ("create", vec![Fault::Lost]),
        ("create", vec![Fault::AnswerLost]),
        ("create", vec![Fault::Status(500), Fault::Status(503)]),
        ("confirm", vec![Fault::Lost]),
        ("confirm", vec![Fault::AnswerLost]),
        ("confirm", vec![Fault::Status(500), Fault::Status(429)]),
        ("retrieve", vec![Fault::Status(409), Fault::Lost]),
    ] {
        let (place, stripe, payments) = stripe().await;
        stripe.faults(endpoint, faults.clone());
        if endpoint == "retrieve" {
            stripe.faults("confirm", [Fault::AnswerLost]);
        }
        let order = place.order(50_000);
        place.reserved(order).await;
        payments.reaches(order, "processed").await;
        assert_eq!(stripe.intent().charges, 1, "{endpoint} {faults:?}");
        assert_eq!(place.announced(order).await, ["payment_processed"], "{endpoint} {faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_tried_again_without_a_question() {
    let (place, stripe, payments) = stripe().await;
    stripe.faults("create", [Fault::Status(429)]);
    let order = place.order(50_000);
    place.reserved(order).await;
    payments.reaches(order, "processed").await;
    assert_eq!(stripe.account().calls, ["create", "create", "confirm"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_setting_is_reported_and_the_payment_waits() {
    let (place, stripe) = (Place::embedded().await, StripeApi::start().await);
    let order = place.order(50_000);
    let misconfigured = async |payments: &Payments| {
        let line =
            r#"payment_provider_calls_total{provider="stripe",operation="charge",result="misconfigured"}"#;
        payments.until("it is reported", async || payments.metric(line).await >= 1).await;
    };
    let wrong_key = place
        .payments(|config| {
            config.provider = ProviderKind::Stripe;
            config.stripe.url = stripe.url.parse().unwrap();
            config.stripe.secret_key = Some("sk_test_wrong".into());
        })
        .await;
    place.reserved(order).await;
    misconfigured(&wrong_key).await;
    wrong_key.stop().await;
    let wrong_method = payments_by(&place, &stripe, "pm_unknown").await;
    misconfigured(&wrong_method).await;
    wrong_method.stop().await;
    assert!(stripe.account().intents.is_empty());
    stripe.prune_keys();
    let payments = payments_by(&place, &stripe, "pm_card_visa").await;
    payments.reaches(order, "processed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_is_refunded_once() {
    for faults in [vec![], vec![Fault::AnswerLost], vec![Fault::Status(500), Fault::Lost]] {
        let (place, stripe, payments) = stripe().await;
        stripe.faults("refund", faults.clone());
        let order = place.order(50_000);
        place.reserved(order).await;
        payments.reaches(order, "processed").await;
        place.cancelled(order).await;
        payments.reaches(order, "refunded").await;
        assert_eq!(stripe.intent().refunds, 1, "{faults:?}");
        assert_eq!(place.announced(order).await, ["payment_processed", "payment_refunded"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_somebody_else_has_made_is_one() {
    let (place, stripe, payments) = stripe().await;
    let order = place.order(50_000);
    place.reserved(order).await;
    payments.reaches(order, "processed").await;
    stripe.account().intents.values_mut().for_each(|intent| intent.refunds = 1);
    place.cancelled(order).await;
    payments.reaches(order, "refunded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_in_doubt_that_is_no_longer_wanted_is_cancelled_at_stripe_or_refunded() {
    for (fault, state, status) in
        [(Fault::Lost, "cancelled", "canceled"), (Fault::AnswerLost, "refunded", "succeeded")]
    {
        let (place, stripe) = (Place::embedded().await.with_manual_clock(), StripeApi::start().await);
        let payments = payments_by(&place, &stripe, "pm_card_visa").await;
        stripe.faults("confirm", [fault]);
        let order = place.order(50_000);
        place.reserved(order).await;
        let unknown =
            r#"payment_provider_calls_total{provider="stripe",operation="charge",result="unknown"}"#;
        payments.until("it is in doubt", async || payments.metric(unknown).await == 1).await;
        place.cancelled(order).await;
        let payment = payments.reaches(order, state).await;
        assert_eq!(payment["attempts"].as_i64().unwrap(), if state == "refunded" { 3 } else { 2 });
        let intent = stripe.intent();
        assert_eq!((intent.status.as_str(), intent.refunds), (status, u32::from(state == "refunded")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_a_payment_in_doubt_is_found_by_its_order() {
    let (place, stripe) = (Place::embedded().await.with_manual_clock(), StripeApi::start().await);
    let payments = payments_by(&place, &stripe, "pm_card_visa").await;
    stripe.faults("confirm", [Fault::AnswerLost]);
    let order = place.order(50_000);
    place.reserved(order).await;
    let unknown = r#"payment_provider_calls_total{provider="stripe",operation="charge",result="unknown"}"#;
    payments.until("it is in doubt", async || payments.metric(unknown).await == 1).await;
    stripe.prune_keys();
    place.clock.advance(TimeDelta::hours(25));
    payments.reaches(order, "processed").await;
    let calls = stripe.account().calls.clone();
    assert_eq!(calls, ["create", "confirm", "search", "retrieve"]);
    assert_eq!(stripe.intent().charges, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_with_stripes_signature_makes_the_service_ask() {
    let (place, stripe) = (Place::embedded().await.with_manual_clock(), StripeApi::start().await);
    let payments = payments_by(&place, &stripe, "pm_card_visa").await;
    stripe.faults("confirm", [Fault::AnswerLost]);
    let order = place.order(50_000);
    place.reserved(order).await;
    let unknown = r#"payment_provider_calls_total{provider="stripe",operation="charge",result="unknown"}"#;
    payments.until("it is in doubt", async || payments.metric(unknown).await == 1).await;
    sleep(Duration::from_millis(300)).await;
    let body = format!(
        r#"{{"id":"evt_1","object":"event","type":"payment_intent.succeeded",
            "data":{{"object":{{"id":"pi_1","object":"payment_intent","metadata":{{"order_id":"{}"}}}}}}}}"#,
        order.id
    );
    let post = |signature: String| {
        let request =
            payments.request(Method::POST, "/webhooks/stripe").header("Stripe-Signature", signature);
        payments.send(request.body(body.clone()))
    };
    post(signed("whsec_another", &body, place.clock.now())).await.expect(400, "bad-signature");
    post(signed(WEBHOOK_SECRET, &body, place.clock.now())).await.expect(204, "");
    payments.reaches(order, "processed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stripe_that_cannot_be_reached_leaves_no_doubt() {
    let place = Place::embedded().await.with_manual_clock();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let payments = place
        .payments(|config| {
            config.provider = ProviderKind::Stripe;
            config.stripe.url = format!("http://{nobody}").parse().unwrap();
            config.stripe.secret_key = Some(KEY.into());
        })
        .await;
    let order = place.order(50_000);
    place.reserved(order).await;
    let refused = r#"payment_provider_calls_total{provider="stripe",operation="charge",result="not_done"}"#;
    payments.until("an attempt", async || payments.metric(refused).await == 1).await;
    place.cancelled(order).await;
    payments.reaches(order, "cancelled").await;
}
