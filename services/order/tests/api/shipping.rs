use serde_json::json;

use crate::{
    harness::{Orders, Who, on_both_databases},
    news::payment_processed,
};

on_both_databases!(
    a_confirmed_order_is_shipped_and_delivered,
    shipping_is_for_admins,
    what_cannot_be_shipped_or_delivered_is_refused,
    a_tracking_number_is_plain,
);

async fn confirmed(orders: &Orders, who: Who) -> String {
    let id = orders.placed_by(who).await;
    orders.tell([(&*id, payment_processed(&id))]).await;
    crate::harness::until("it is confirmed", async || orders.shown(&id).await["status"] == "confirmed").await;
    id
}

async fn a_confirmed_order_is_shipped_and_delivered(orders: Orders) {
    let id = confirmed(&orders, Who::Anna).await;
    let path = format!("/orders/{id}");
    let parcel = json!({ "tracking_number": "RB123456789CN" });
    let shipped = orders.post(Who::Admin, &format!("{path}/ship"), &parcel).await.expect(200, "");
    let body = shipped.json();
    assert_eq!((&body["status"], &body["tracking_number"]), (&json!("shipped"), &json!("RB123456789CN")));
    assert_eq!(body["timeline"][3]["detail"], "RB123456789CN");
    for again in [parcel, json!({})] {
        let again = orders.post(Who::Admin, &format!("{path}/ship"), &again).await.expect(200, "");
        assert_eq!(again.text, shipped.text);
    }
    let delivered = orders.post(Who::Admin, &format!("{path}/deliver"), &json!({})).await.expect(200, "");
    assert_eq!(delivered.json()["status"], "delivered");
    let again = orders.post(Who::Admin, &format!("{path}/deliver"), &json!({})).await.expect(200, "");
    assert_eq!(again.text, delivered.text);
    assert_eq!(orders.get(Who::Anna, &path).await.expect(200, "").text, delivered.text);
    let events = orders.events().await;
    let order = json!({ "order_id": id, "customer_email": Who::Anna.email() });
    let told: Vec<_> = events[2..]
        .iter()
        .map(|(kind, key, _, version, payload)| (&**kind, &**key, *version, payload))
        .collect();
    let shipment = json!({
        "order_id": id, "customer_email": Who::Anna.email(), "tracking_number": "RB123456789CN",
    });
    assert_eq!(
        told,
        [("order_shipped", "order.shipped", 3, &shipment), ("order_delivered", "order.delivered", 4, &order)]
    );
}

async fn shipping_is_for_admins(orders: Orders) {
    let id = confirmed(&orders, Who::Anna).await;
    for path in ["ship", "deliver"] {
        let path = format!("/orders/{id}/{path}");
        orders.post(Who::Anna, &path, &json!({})).await.expect(403, "forbidden");
        orders.post(Who::Guest, &path, &json!({})).await.expect(401, "unauthorized");
    }
    for path in ["ship", "deliver"] {
        let path = format!("/orders/00000000-0000-7000-8000-000000000000/{path}");
        orders.post(Who::Admin, &path, &json!({})).await.expect(404, "not-found");
    }
    assert_eq!(orders.shown(&id).await["status"], "confirmed");
}

async fn what_cannot_be_shipped_or_delivered_is_refused(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    let (ship, deliver) = (format!("/orders/{id}/ship"), format!("/orders/{id}/deliver"));
    let refused = orders.post(Who::Admin, &ship, &json!({})).await.expect(409, "not-shippable");
    assert_eq!(refused.json()["order_status"], "pending");
    let refused = orders.post(Who::Admin, &deliver, &json!({})).await.expect(409, "not-deliverable");
    assert_eq!(refused.json()["order_status"], "pending");
    orders.cancel(Who::Anna, &id).await.expect(200, "");
    orders.post(Who::Admin, &ship, &json!({})).await.expect(409, "not-shippable");
    orders.post(Who::Admin, &deliver, &json!({})).await.expect(409, "not-deliverable");

    let id = confirmed(&orders, Who::Anna).await;
    let ship = format!("/orders/{id}/ship");
    orders.post(Who::Admin, &ship, &json!({ "tracking_number": "RB1" })).await.expect(200, "");
    orders.post(Who::Admin, &ship, &json!({ "tracking_number": "RB2" })).await.expect(409, "not-shippable");
    assert_eq!(orders.shown(&id).await["tracking_number"], "RB1");
    assert_eq!(orders.count("order_timeline WHERE event = 'shipped'").await, 1);
}

async fn a_tracking_number_is_plain(orders: Orders) {
    let id = confirmed(&orders, Who::Anna).await;
    let ship = format!("/orders/{id}/ship");
    for number in ["", " ", "<b>", "a\nb", "№ 1", &"1".repeat(65)] {
        let parcel = json!({ "tracking_number": number });
        let refused = orders.post(Who::Admin, &ship, &parcel).await.expect(422, "invalid-value");
        assert_eq!(refused.json()["errors"][0]["pointer"], "/tracking_number", "{number}");
    }
    orders.post(Who::Admin, &ship, &json!({ "tracking_number": 7 })).await.expect(422, "invalid-value");
    assert_eq!(orders.shown(&id).await["status"], "confirmed");
}
