//! Messages that come twice, that cannot be read, and that come while the service is away.

use std::time::Duration;

use shop_runtime::consumer::Consumes as _;
use tokio::time::sleep;

use crate::harness::{Place, on_both};

on_both!(
    what_is_delivered_again_is_charged_once,
    a_message_that_cannot_be_read_is_set_aside_and_holds_up_nobody,
    what_came_while_the_service_was_stopped_is_charged_when_it_starts,
    what_is_under_way_when_the_service_stops_is_recorded,
);

async fn what_is_delivered_again_is_charged_once(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_000);
    let first = place.reservation(order);
    // The same message twice, and a second message for the same order.
    place.publish(&[first.clone(), first.clone(), place.reservation(order)]).await;
    payments.reaches(order, "processed").await;
    place.publish(&[first, place.reservation(order)]).await;
    let count =
        |what: &str| format!(r#"consumer_{what}_total{{queue="payment",event_type="stock_reserved"}}"#);
    payments.until("all are handled", async || payments.metric(&count("handled")).await == 3).await;
    payments.until("duplicates are noticed", async || payments.metric(&count("duplicates")).await == 2).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(payments.charges(order).await, ["charged"]);
    assert_eq!(place.announced(order).await, ["payment_processed"]);
    assert_eq!(place.count("payments").await, 1);
}

async fn a_message_that_cannot_be_read_is_set_aside_and_holds_up_nobody(place: Place) {
    let payments = place.payments(|_| {}).await;
    let (poisoned, order) = (place.order(50_000), place.order(50_000));
    let mut poison = place.reservation(poisoned);
    poison.payload = r#"{"order_id": 7}"#.into();
    place.publish(&[poison.clone(), place.reservation(order)]).await;
    payments.reaches(order, "processed").await;
    let dead = async || place.broker.dead_letters(payment::Payment::QUEUE, 10).await.unwrap();
    payments.until("it is set aside", async || dead().await.len() == 1).await;
    assert_eq!(dead().await[0].message.id, poison.id);
    assert_eq!(payments.payment(poisoned).await, None);
}

async fn what_came_while_the_service_was_stopped_is_charged_when_it_starts(place: Place) {
    let payments = place.payments(|_| {}).await;
    let first = place.order(50_000);
    place.reserved(first).await;
    payments.reaches(first, "processed").await;
    payments.stop().await;
    let orders: Vec<_> = (0..5).map(|_| place.order(50_000)).collect();
    for order in &orders {
        place.reserved(*order).await;
    }
    place.cancelled(first).await;
    let payments = place.payments(|_| {}).await;
    for order in orders {
        payments.reaches(order, "processed").await;
    }
    payments.reaches(first, "refunded").await;
}

async fn what_is_under_way_when_the_service_stops_is_recorded(place: Place) {
    let payments = place.payments(|_| {}).await;
    let order = place.order(50_002);
    place.reserved(order).await;
    payments
        .until("the call", async || {
            payments.payment(order).await.is_some_and(|payment| payment["attempts"] == 1)
        })
        .await;
    payments.stop().await;
    assert_eq!(place.announced(order).await, ["payment_processed"]);
}
