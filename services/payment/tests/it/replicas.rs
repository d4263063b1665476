//! Several replicas on one database and one broker.

use crate::harness::{Place, on_both};

on_both!(two_replicas_charge_each_order_once, what_one_replica_left_in_the_middle_the_other_finishes);

/// More than one replica calls the provider for at once.
const ORDERS: i64 = 200;

async fn two_replicas_charge_each_order_once(place: Place) {
    let first = place.payments(|config| config.simulated.delay_ms = 600).await;
    let second = place.payments(|config| config.simulated.delay_ms = 600).await;
    let orders: Vec<_> = (0..ORDERS).map(|_| place.order(50_000)).collect();
    let messages: Vec<_> = orders.iter().map(|order| place.reservation(*order)).collect();
    place.publish(&messages).await;
    for order in &orders {
        first.reaches(*order, "processed").await;
    }
    assert_eq!(place.count("simulated_charges").await, ORDERS);
    assert_eq!(place.count("outbox_messages").await, ORDERS);
    let charged = r#"payment_provider_calls_total{provider="simulated",operation="charge",result="charged"}"#;
    let (by_first, by_second) = (first.metric(charged).await, second.metric(charged).await);
    assert_eq!(by_first + by_second, ORDERS.cast_unsigned(), "no call was made twice");
    assert!(by_first > 0 && by_second > 0, "both worked: {by_first} and {by_second}");
}

async fn what_one_replica_left_in_the_middle_the_other_finishes(place: Place) {
    let place = place.with_manual_clock();
    // Nothing ends its calls.
    let frozen = place.payments(|config| config.call_timeout_ms = 20_000).await;
    let order = place.order(50_004);
    place.reserved(order).await;
    frozen.until("the charge", async || frozen.charges(order).await == ["charged"]).await;
    let other = place.payments(|_| {}).await;
    assert_eq!(other.payment(order).await.unwrap()["state"], "pending", "it is leased");
    place.clock.advance(chrono::TimeDelta::seconds(61));
    let payment = other.reaches(order, "processed").await;
    assert_eq!(payment["attempts"], 2, "it was asked about");
    assert_eq!(other.charges(order).await, ["charged"]);
    assert_eq!(place.announced(order).await, ["payment_processed"]);
}
