//! The lists for administrators.

use http::Method;
use serde_json::Value;
use shop_runtime::auth::Role;

use crate::harness::{Payments, Place, on_both};

on_both!(lists_are_for_administrators, lists_are_paged, a_switch_is_for_administrators_and_has_a_name);

async fn lists_are_for_administrators(place: Place) {
    let payments = place.payments(|_| {}).await;
    for path in ["/payments", "/simulated/charges"] {
        payments.send(payments.request(Method::GET, path)).await.expect(401, "unauthorized");
        payments.get_as(Role::Customer, path).await.expect(403, "forbidden");
        payments.get_as(Role::Admin, path).await.expect(200, "");
        for query in ["limit=0", "limit=1001", "limit=x", "cursor=x", "order_id=7", "unknown=1"] {
            payments.get_as(Role::Admin, &format!("{path}?{query}")).await.expect(400, "malformed-request");
        }
    }
}

async fn all_pages(payments: &Payments, path: &str) -> Vec<Value> {
    let (mut path, mut entries) = (format!("{path}?limit=2"), Vec::new());
    loop {
        let answer = payments.get_as(Role::Admin, &path).await.expect(200, "");
        let page = answer.json().as_array().unwrap().clone();
        assert!(page.len() <= 2);
        entries.extend(page);
        let Some(link) = answer.link else { return entries };
        path = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    }
}

async fn lists_are_paged(place: Place) {
    let payments = place.payments(|_| {}).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        let order = place.order(50_000);
        place.reserved(order).await;
        payments.reaches(order, "processed").await;
        orders.push(order.id.to_string());
    }
    orders.reverse();
    for path in ["/payments", "/simulated/charges"] {
        let listed = all_pages(&payments, path).await;
        let listed: Vec<_> = listed.iter().map(|entry| entry["order_id"].as_str().unwrap()).collect();
        assert_eq!(listed, orders, "{path}");
    }
    let payment = &payments.get("/payments?limit=1").await[0];
    let mut fields: Vec<_> = payment.as_object().unwrap().keys().cloned().collect();
    fields.sort_unstable();
    let expected = [
        "amount",
        "attempts",
        "created_at",
        "currency",
        "customer_email",
        "id",
        "order_id",
        "provider",
        "state",
        "updated_at",
    ];
    assert_eq!(fields, expected);
    let charge = &payments.get("/simulated/charges?limit=1").await[0];
    assert_eq!(charge["idempotency_key"], format!("order-{}", orders[0]));
    assert_eq!((&charge["amount"], &charge["state"]), (&500.0.into(), &"charged".into()));
}

async fn a_switch_is_for_administrators_and_has_a_name(place: Place) {
    let payments = place.payments(|_| {}).await;
    let put = |name: &str| {
        let request = payments.request(Method::PUT, &format!("/simulated/switches/{name}"));
        request.json(&serde_json::json!({ "on": true }))
    };
    payments.send(put("outage")).await.expect(401, "unauthorized");
    payments.switch("outage", true).await;
    payments.switch("outage", false).await;
    let unknown = payments.get_as(Role::Admin, "/simulated/switches/outage").await;
    unknown.expect(405, "method-not-allowed");
}
