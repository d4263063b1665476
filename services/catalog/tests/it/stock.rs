//! What the events of orders do to stock, over the bus.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shop_core::OrderId;

use crate::{
    events::{cancelled, confirmed, created, new_order, until},
    on_both_backends,
    shop::Shop,
};

on_both_backends!(
    an_ordered_product_is_reserved_sold_and_put_back,
    an_order_with_a_line_that_is_short_reserves_nothing,
    an_event_that_does_not_say_what_was_ordered_is_rejected,
    what_comes_twice_or_too_late_changes_nothing,
    a_confirmed_order_that_is_not_known_is_set_aside_until_it_is,
    of_two_hundred_buyers_of_ten_pieces_ten_get_one,
    an_administrators_change_leaves_reservations_alone,
    a_deleted_product_leaves_its_reservations_in_the_books,
    reservations_end_by_themselves_and_once,
    the_cached_list_changes_when_a_product_is_sold_out_or_back,
    an_event_that_cannot_be_read_is_set_aside_and_others_flow,
    health_and_metrics_say_how_the_consumer_is,
);

async fn stock(shop: &Shop, product: i64) -> Value {
    shop.json(&format!("/products/{product}")).await["stock"].clone()
}

async fn level(shop: &Shop, product: i64) -> (i64, i64, i64, i64) {
    let books = shop.books("/stock").await;
    let found = books.as_array().unwrap().iter().find(|level| level["product_id"] == product).unwrap();
    let of = |field: &str| found[field].as_i64().unwrap();
    (of("received"), of("on_hand"), of("reserved"), of("available"))
}

async fn state(shop: &Shop, order: OrderId) -> Value {
    let books = shop.books("/reservations").await;
    let id = order.to_string();
    books.as_array().unwrap().iter().find(|kept| kept["order_id"] == id).cloned().unwrap_or_default()
}

async fn an_ordered_product_is_reserved_sold_and_put_back(shop: Shop) {
    let order = new_order();
    shop.tell(&[created(order, &[(2, 3), (1, 2), (1, 1)])]).await;
    assert_eq!(level(&shop, 1).await, (120, 120, 3, 117));
    assert_eq!(level(&shop, 2).await, (45, 45, 3, 42));
    assert_eq!((stock(&shop, 1).await, stock(&shop, 2).await), (json!(117), json!(42)));
    assert_eq!(shop.json("/products?ids=1").await[0]["stock"], 117, "what orders are placed by is current");

    let (event_type, routing_key, kind, id, version, mut payload) = shop.announced().await.remove(0);
    assert_eq!((event_type.as_str(), routing_key.as_str()), ("stock_reserved", "stock.reserved"));
    assert_eq!((kind.as_str(), id, version), ("reservation", order.to_string(), 1));
    let kept = state(&shop, order).await;
    let until = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(until(&kept["reserved_until"]), until(&payload["reserved_until"].take()));
    assert_eq!(payload["order_id"].take(), order.to_string());
    let line = |product: i64, quantity: u32| json!({ "product_id": product, "quantity": quantity, "price": 500.0, "name": "Thing" });
    let expected = json!({
        "order_id": null, "customer_email": "buyer@example.com", "total_amount": 1000.0, "currency": "RUB",
        "items": [line(2, 3), line(1, 2), line(1, 1)], "reserved_until": null
    });
    assert_eq!(payload, expected);
    assert_eq!(
        kept["items"],
        json!([{ "product_id": 1, "quantity": 3 }, { "product_id": 2, "quantity": 3 }])
    );

    shop.tell(&[confirmed(order)]).await;
    assert_eq!(state(&shop, order).await["state"], "sold");
    assert_eq!(level(&shop, 1).await, (120, 117, 0, 117));
    shop.tell(&[cancelled(order)]).await;
    assert_eq!(state(&shop, order).await["state"], "released");
    assert_eq!(level(&shop, 1).await, (120, 120, 0, 120));
    assert_eq!(shop.announced().await.len(), 1, "nobody waits to hear that an order was sold or put back");
}

async fn an_order_with_a_line_that_is_short_reserves_nothing(shop: Shop) {
    let order = new_order();
    shop.tell(&[created(order, &[(1, 1), (2, 46), (999, 1)])]).await;
    assert_eq!(level(&shop, 1).await, (120, 120, 0, 120));
    let (event_type, _, _, _, version, payload) = shop.announced().await.remove(0);
    assert_eq!((event_type.as_str(), version), ("stock_rejected", 1));
    let expected = json!({
        "order_id": order, "reason": "There is not enough in stock.", "shortages": [
            { "product_id": 2, "wanted": 46, "available": 45 },
            { "product_id": 999, "wanted": 1, "available": 0 },
        ]
    });
    assert_eq!(payload, expected);
    let kept = state(&shop, order).await;
    assert_eq!((&kept["state"], &kept["reserved_until"]), (&json!("rejected"), &Value::Null));

    // A later cancellation, which the rejection causes, gives nothing back.
    shop.tell(&[cancelled(order)]).await;
    assert_eq!(state(&shop, order).await["state"], "rejected");
    assert_eq!(level(&shop, 2).await, (45, 45, 0, 45));
}

async fn an_event_that_does_not_say_what_was_ordered_is_rejected(shop: Shop) {
    let order = new_order();
    shop.tell(&[created(order, &[])]).await;
    let (event_type, .., payload) = shop.announced().await.remove(0);
    assert_eq!(event_type, "stock_rejected");
    let reason = "The order does not say what was ordered.";
    assert_eq!(payload, json!({ "order_id": order, "reason": reason, "shortages": [] }));
}

async fn what_comes_twice_or_too_late_changes_nothing(shop: Shop) {
    let order = new_order();
    let first = created(order, &[(1, 5)]);
    shop.tell(std::slice::from_ref(&first)).await;
    // The same message again, and the same event as another message.
    shop.publish(std::slice::from_ref(&first)).await;
    shop.tell(&[created(order, &[(1, 5)])]).await;
    assert_eq!(level(&shop, 1).await, (120, 120, 5, 115));
    shop.tell(&[confirmed(order), confirmed(order), cancelled(order), cancelled(order)]).await;
    shop.tell(&[confirmed(order), created(order, &[(1, 5)])]).await;
    assert_eq!(level(&shop, 1).await, (120, 120, 0, 120));
    assert_eq!(shop.announced().await.len(), 1);

    // A dead letter, replayed after its order was cancelled.
    let late = new_order();
    shop.tell(&[cancelled(late), created(late, &[(1, 5)]), confirmed(late)]).await;
    assert_eq!(level(&shop, 1).await, (120, 120, 0, 120));
    assert_eq!(shop.announced().await.len(), 1);
    let kept = state(&shop, late).await;
    assert_eq!((&kept["state"], &kept["items"]), (&json!("released"), &json!([])));
}

async fn a_confirmed_order_that_is_not_known_is_set_aside_until_it_is(shop: Shop) {
    let order = new_order();
    shop.publish(&[confirmed(order)]).await;
    until("it is set aside", || async { shop.dead_letters().await == 1 }).await;
    shop.tell(&[created(order, &[(1, 2)])]).await;
    let handled = shop.inbox().await;
    assert_eq!(shop.broker().replay_dead_letters("catalog", 10).await.unwrap(), 1);
    until("it is handled", || async { shop.inbox().await > handled }).await;
    assert_eq!(level(&shop, 1).await, (120, 118, 0, 118));
}

async fn of_two_hundred_buyers_of_ten_pieces_ten_get_one(shop: Shop) {
    shop.set_stock(10).await;
    let orders: Vec<_> = (0..200).map(|_| created(new_order(), &[(1, 1)])).collect();
    shop.tell(&orders).await;
    assert_eq!(shop.count_announced("stock_reserved").await, 10);
    assert_eq!(shop.count_announced("stock_rejected").await, 190);
    assert_eq!(level(&shop, 1).await, (10, 10, 10, 0));
    assert_eq!(stock(&shop, 1).await, 0);
    assert_eq!(shop.metric("catalog_reservations_total{outcome=\"reserved\"}"), 10);
    assert_eq!(shop.metric("catalog_reservations_total{outcome=\"rejected\"}"), 190);
    assert_eq!(shop.metric("catalog_sold_out_total"), 190);
}

async fn an_administrators_change_leaves_reservations_alone(shop: Shop) {
    let (first, second) = (new_order(), new_order());
    shop.tell(&[created(first, &[(1, 20)]), created(second, &[(1, 5)])]).await;
    let text = json!({ "name": "Evening Mug", "price": 510.0, "category": "kitchen" });
    let replaced = shop.write(Method::PUT, "/products/1", &text).await;
    assert_eq!(replaced.status(), StatusCode::OK);
    let replaced: Value = replaced.json().await.unwrap();
    assert_eq!((&replaced["name"], &replaced["stock"]), (&json!("Evening Mug"), &json!(95)));
    assert_eq!(level(&shop, 1).await, (120, 120, 25, 95));

    shop.set_stock(7).await;
    assert_eq!(level(&shop, 1).await, (32, 32, 25, 7));
    shop.tell(&[confirmed(first), cancelled(second)]).await;
    assert_eq!(level(&shop, 1).await, (32, 12, 0, 12));
    shop.set_stock(0).await;
    shop.tell(&[cancelled(first)]).await;
    assert_eq!(level(&shop, 1).await, (20, 20, 0, 20), "what was sold is back");
}

async fn a_deleted_product_leaves_its_reservations_in_the_books(shop: Shop) {
    let (sold, given_back, late) = (new_order(), new_order(), new_order());
    shop.tell(&[created(sold, &[(1, 2)]), created(given_back, &[(1, 3)])]).await;
    let deleted = shop.write(Method::DELETE, "/products/1", &Value::Null).await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(level(&shop, 1).await, (5, 5, 5, 0));
    shop.tell(&[confirmed(sold), cancelled(given_back), created(late, &[(1, 1)])]).await;
    assert_eq!(level(&shop, 1).await, (2, 0, 0, 0));
    assert_eq!(state(&shop, late).await["state"], "rejected");
}

async fn reservations_end_by_themselves_and_once(shop: Shop) {
    // The first consumer stays the active one, so it makes way.
    let first = shop.replica_that_reserves_for(1).await;
    let second = shop.replica_that_reserves_for(1).await;
    shop.stop();
    let orders: Vec<_> = (0..20).map(|_| new_order()).collect();
    let events: Vec<_> = orders.iter().map(|order| created(*order, &[(1, 2), (3, 1)])).collect();
    // Three is sold out by the first eighteen.
    first.tell(&events).await;
    assert_eq!(first.count_announced("stock_reserved").await, 18);
    until("all have ended", || async {
        first.books("/reservations?state=released").await.as_array().unwrap().len() == 18
    })
    .await;
    assert_eq!((level(&first, 1).await, level(&first, 3).await), ((120, 120, 0, 120), (18, 18, 0, 18)));
    let expired = first.metric("catalog_reservations_expired_total")
        + second.metric("catalog_reservations_expired_total");
    assert_eq!(expired, 18);
    let announced = first.announced().await;
    let ended: Vec<_> =
        announced.iter().filter(|event| event.0 == "stock_rejected" && event.4 == 2).collect();
    assert_eq!(ended.len(), 18, "each is announced once");
    let reason = "The order was not confirmed in time, so its reservation has ended.";
    assert_eq!(ended[0].5, json!({ "order_id": ended[0].3, "reason": reason, "shortages": [] }));

    // Paid for all the same: the pieces are still there.
    let order: OrderId = ended[0].3.parse().unwrap();
    second.tell(&[confirmed(order)]).await;
    assert_eq!(level(&first, 1).await, (120, 118, 0, 118));
}

async fn the_cached_list_changes_when_a_product_is_sold_out_or_back(shop: Shop) {
    shop.set_stock(5).await;
    seen(&shop, 5).await;
    let (most, last) = (new_order(), new_order());
    shop.tell(&[created(most, &[(1, 4)])]).await;
    assert_eq!(shop.listed(1).await.0, "hit", "a buyer can buy it as before");
    shop.tell(&[created(last, &[(1, 1)])]).await;
    seen(&shop, 0).await;
    shop.tell(&[confirmed(last)]).await;
    shop.tell(&[created(new_order(), &[(1, 1)])]).await;
    assert_eq!(shop.listed(1).await.0, "hit", "nothing that a buyer sees has changed");
    shop.tell(&[cancelled(most)]).await;
    seen(&shop, 4).await;
}

/// The cached list comes to have `stock` of product 1: a moment after the commit, which the inbox shows.
async fn seen(shop: &Shop, stock: u32) {
    until("the list shows it", || async {
        let (cache, product) = shop.listed(1).await;
        cache == "hit" && product["stock"] == stock
    })
    .await;
}

async fn an_event_that_cannot_be_read_is_set_aside_and_others_flow(shop: Shop) {
    let mut poison = created(new_order(), &[(1, 1)]);
    poison.payload = r#"{"order_id": 1}"#.into();
    shop.publish(&[poison]).await;
    shop.tell(&[created(new_order(), &[(1, 1)])]).await;
    until("it is set aside", || async { shop.dead_letters().await == 1 }).await;
    assert_eq!(level(&shop, 1).await, (120, 120, 1, 119));
}

async fn health_and_metrics_say_how_the_consumer_is(shop: Shop) {
    until("it consumes", || async { shop.json("/readyz").await["dependencies"]["consumer"] == "ok" }).await;
    let ready = shop.json("/readyz").await;
    assert_eq!((&ready["status"], &ready["dependencies"]["database"]), (&json!("ok"), &json!("ok")));
    for outcome in ["reserved", "rejected", "sold", "released"] {
        assert_eq!(shop.metric(&format!("catalog_reservations_total{{outcome=\"{outcome}\"}}")), 0);
    }
    assert_eq!(shop.metric("catalog_reservations_expired_total"), 0);
    for event in ["order_created", "order_confirmed", "order_cancelled"] {
        let line = format!("consumer_handled_total{{queue=\"catalog\",event_type=\"{event}\"}}");
        assert_eq!(shop.metric(&line), 0);
    }
}
