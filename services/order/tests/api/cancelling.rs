use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Orders, Who, on_both_databases};

on_both_databases!(
    a_pending_order_is_cancelled_and_that_is_announced,
    cancelling_twice_is_cancelling_once,
    a_race_of_cancellations_announces_one,
    a_shipped_order_is_not_cancelled,
    what_is_no_order_cannot_be_cancelled,
);

async fn a_pending_order_is_cancelled_and_that_is_announced(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    let cancelled = orders.cancel(Who::Anna, &id).await.expect(200, "");
    assert_eq!(cancelled.json()["status"], "cancelled");
    assert_eq!(orders.get(Who::Anna, &format!("/orders/{id}")).await.text, cancelled.text);
    let payload = json!({
        "order_id": id, "customer_email": Who::Anna.email(), "total_amount": 500.0, "currency": "RUB",
        "reason": "cancelled by the customer", "code": "by_customer",
    });
    let why = json!({ "code": "by_customer", "reason": "cancelled by the customer" });
    assert_eq!(cancelled.json()["cancellation"], why);
    let entry =
        json!({ "seq": 2, "at": "2027-01-15T08:00:01Z", "event": "cancelled", "detail": "by_customer" });
    assert_eq!(cancelled.json()["timeline"][1], entry);
    let event = ("order_cancelled".to_owned(), "order.cancelled".to_owned(), id, 2, payload);
    assert_eq!(orders.events().await[1..], [event]);

    let id = orders.placed_by(Who::Anna).await;
    orders.cancel(Who::Admin, &id).await.expect(200, "");
    let event = &orders.events().await[3].4;
    assert_eq!((&event["reason"], &event["code"]), (&json!("cancelled by the shop"), &json!("by_shop")));
}

async fn cancelling_twice_is_cancelling_once(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    let first = orders.cancel(Who::Anna, &id).await.expect(200, "");
    let second = orders.cancel(Who::Anna, &id).await.expect(200, "");
    assert_eq!((first.text, orders.events().await.len()), (second.text, 2));
}

async fn a_race_of_cancellations_announces_one(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    for answer in join_all((0..20).map(|_| orders.cancel(Who::Anna, &id))).await {
        assert_eq!(answer.expect(200, "").json()["status"], "cancelled");
    }
    let events = orders.events().await;
    let told: Vec<_> = events.iter().map(|(kind, _, _, version, _)| (kind.as_str(), *version)).collect();
    assert_eq!(told, [("order_created", 1), ("order_cancelled", 2)]);
}

async fn a_shipped_order_is_not_cancelled(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    for status in ["shipped", "delivered"] {
        orders.execute(&format!("UPDATE orders SET status = '{status}'")).await;
        let refused = orders.cancel(Who::Anna, &id).await.expect(409, "not-cancellable");
        assert_eq!(refused.json()["order_status"], status);
    }
    assert_eq!(orders.events().await.len(), 1);
}

async fn what_is_no_order_cannot_be_cancelled(orders: Orders) {
    for id in ["00000000-0000-7000-8000-000000000000", "1", "%00", "x"] {
        orders.cancel(Who::Anna, id).await.expect(404, "not-found");
    }
}
