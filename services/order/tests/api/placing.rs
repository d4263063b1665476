use http::Method;
use serde_json::json;

use crate::{
    fake_catalog::Mood,
    harness::{Orders, Who, on_both_databases, one_of, send},
};

on_both_databases!(
    the_specifications_example_places_an_order_and_announces_it,
    a_customer_need_not_say_who_they_are,
    lines_of_one_product_are_added_up,
    a_price_that_has_changed_is_refused_with_the_current_one,
    what_cannot_be_ordered_is_refused_and_named,
    without_the_catalogs_word_there_is_no_order,
    an_order_and_its_event_are_written_together_or_not_at_all,
    guests_need_guest_checkout,
    the_catalog_is_an_optional_dependency,
    orders_are_counted,
);

async fn the_specifications_example_places_an_order_and_announces_it(orders: Orders) {
    let body = r#"{
        "customer_email": "buyer@example.com",
        "items": [
          { "product_id": 1, "quantity": 2, "price": 500.0 },
          { "product_id": 2, "quantity": 1, "price": 1500.0 }
        ]
      }"#;
    let request =
        orders.request(Method::POST, "/orders").header("Content-Type", "application/json").body(body);
    let placed = send(request).await.expect(201, "");
    let id = placed.id();
    assert_eq!(placed.header("location"), Some(format!("/orders/{id}").as_str()));
    assert!(placed.text.contains(r#""total_amount":2500.00"#), "{placed:?}");
    let mut shown = placed.json();
    shown["id"].take();
    let token = shown["order_token"].take();
    assert_eq!(
        shown,
        json!({
            "id": null,
            "customer_email": "buyer@example.com",
            "total_amount": 2500.0,
            "currency": "RUB",
            "status": "pending",
            "items": [
                { "product_id": 1, "name": "Product 1", "quantity": 2, "price": 500.0 },
                { "product_id": 2, "name": "Product 2", "quantity": 1, "price": 1500.0 },
            ],
            "created_at": "2027-01-15T08:00:00Z",
            "order_token": null,
        })
    );
    let read = orders.get_with(token.as_str().unwrap(), &format!("/orders/{id}")).await.expect(200, "");
    let mut read = read.json();
    let timeline = json!([{ "seq": 1, "at": "2027-01-15T08:00:00Z", "event": "placed" }]);
    assert_eq!(read.as_object_mut().unwrap().remove("timeline"), Some(timeline));
    let mut placed = placed.json();
    placed.as_object_mut().unwrap().remove("order_token");
    assert_eq!(read, placed);
    assert_eq!(orders.catalog.asked(), ["1,2"]);

    let payload = json!({
        "order_id": id, "customer_email": "buyer@example.com", "total_amount": 2500.0, "currency": "RUB",
        "items": [
            { "product_id": 1, "name": "Product 1", "quantity": 2, "price": 500.0 },
            { "product_id": 2, "name": "Product 2", "quantity": 1, "price": 1500.0 },
        ],
    });
    let event = ("order_created".to_owned(), "order.created".to_owned(), id, 1, payload);
    assert_eq!(orders.events().await, [event]);
}

async fn a_customer_need_not_say_who_they_are(orders: Orders) {
    let items = json!([{ "product_id": 1, "quantity": 1 }]);
    let placed = orders.post(Who::Anna, "/orders", &json!({ "items": items })).await.expect(201, "");
    assert_eq!(placed.json()["customer_email"], Who::Anna.email());
    let same = json!({ "customer_email": " ANNA@example.com", "items": items });
    orders.post(Who::Anna, "/orders", &same).await.expect(201, "");
    let other = json!({ "customer_email": "boris@example.com", "items": items });
    orders.post(Who::Anna, "/orders", &other).await.expect(403, "forbidden");
    orders.post(Who::Admin, "/orders", &other).await.expect(403, "forbidden");
    let missing = orders.post(Who::Guest, "/orders", &json!({ "items": items })).await;
    assert_eq!(missing.expect(422, "invalid-value").json()["errors"][0]["pointer"], "/customer_email");
}

async fn lines_of_one_product_are_added_up(orders: Orders) {
    let items = json!([
        { "product_id": 2, "quantity": 1 },
        { "product_id": 1, "quantity": 2, "price": 500 },
        { "product_id": 2, "quantity": 3 },
    ]);
    let placed = orders.post(Who::Anna, "/orders", &json!({ "items": items })).await.expect(201, "").json();
    assert_eq!(placed["total_amount"], 7000.0);
    assert_eq!(placed["items"].as_array().unwrap().len(), 2);
    assert_eq!((&placed["items"][0]["product_id"], &placed["items"][0]["quantity"]), (&json!(2), &json!(4)));
}

async fn a_price_that_has_changed_is_refused_with_the_current_one(orders: Orders) {
    orders.catalog.set(1, "499.90", 10);
    let items = json!([{ "product_id": 1, "quantity": 1, "price": 500.0 }]);
    let refused =
        orders.post(Who::Anna, "/orders", &json!({ "items": items })).await.expect(409, "price-changed");
    let problem = refused.json();
    assert_eq!((&problem["product_id"], &problem["current_price"]), (&json!(1), &json!(499.90)));
    assert_eq!(orders.count("orders").await, 0);
}

async fn what_cannot_be_ordered_is_refused_and_named(orders: Orders) {
    let many: Vec<_> = (1..=51).map(|id| json!({ "product_id": id, "quantity": 1 })).collect();
    for (items, status, slug, member, value) in [
        (json!([]), 422, "invalid-value", "/errors/0/pointer", json!("/items")),
        (json!(many), 422, "invalid-value", "/errors/0/pointer", json!("/items/50")),
        (
            json!([{ "product_id": 1, "quantity": 1 }, { "product_id": 2, "quantity": 0 }]),
            422,
            "invalid-value",
            "/errors/0/pointer",
            json!("/items/1/quantity"),
        ),
        (
            json!([{ "product_id": 1, "quantity": 1001 }]),
            422,
            "invalid-value",
            "/errors/0/pointer",
            json!("/items/0/quantity"),
        ),
        (
            json!([{ "product_id": 1, "quantity": 1, "price": 500 }, { "product_id": 1, "quantity": 1, "price": 501 }]),
            422,
            "invalid-value",
            "/errors/0/pointer",
            json!("/items/1/price"),
        ),
        (json!([{ "product_id": 999, "quantity": 1 }]), 422, "unknown-product", "/product_id", json!(999)),
        (json!([{ "product_id": -1, "quantity": 1 }]), 422, "unknown-product", "/product_id", json!(-1)),
        (json!([{ "product_id": 3, "quantity": 3 }]), 409, "out-of-stock", "/available", json!(2)),
        (
            json!([{ "product_id": 4, "quantity": 2 }]),
            422,
            "invalid-value",
            "/errors/0/pointer",
            json!("/items"),
        ),
    ] {
        let refused =
            orders.post(Who::Anna, "/orders", &json!({ "items": items })).await.expect(status, slug);
        assert_eq!(refused.json().pointer(member), Some(&value), "{refused:?}");
    }
    assert_eq!(orders.count("orders").await, 0);
}

async fn without_the_catalogs_word_there_is_no_order(orders: Orders) {
    for mood in
        [Mood::Failing, Mood::Refusing, Mood::Silent, Mood::Babbling, Mood::Endless, Mood::OffTheShape]
    {
        orders.catalog.is(mood);
        let refused = orders.post(Who::Anna, "/orders", &one_of(Who::Anna, 1)).await;
        assert_eq!(refused.clone().expect(503, "unavailable").header("retry-after"), Some("2"), "{mood:?}");
    }
    let nobody_there =
        orders.beside(|config| config.catalog_url = "http://127.0.0.1:1".parse().unwrap()).await;
    let request = reqwest::Client::new().post(format!("{nobody_there}/orders")).json(&one_of(Who::Guest, 1));
    send(request).await.expect(503, "unavailable");
    assert_eq!((orders.count("orders").await, orders.count("outbox_messages").await), (0, 0));
}

async fn an_order_and_its_event_are_written_together_or_not_at_all(orders: Orders) {
    orders.execute("ALTER TABLE outbox_messages RENAME TO out_of_reach").await;
    let body = one_of(Who::Anna, 1);
    orders.post_with_key(Who::Anna, "k", &body).await.expect(503, "unavailable");
    for table in ["orders", "order_items", "order_timeline", "idempotency_keys"] {
        assert_eq!(orders.count(table).await, 0, "{table}");
    }
    orders.execute("ALTER TABLE out_of_reach RENAME TO outbox_messages").await;
    let id = orders.post_with_key(Who::Anna, "k", &body).await.expect(201, "").id();

    orders.execute("ALTER TABLE outbox_messages RENAME TO out_of_reach").await;
    orders.cancel(Who::Anna, &id).await.expect(503, "unavailable");
    let shown = orders.get(Who::Anna, &format!("/orders/{id}")).await;
    assert_eq!((&shown.json()["status"], orders.count("order_timeline").await), (&json!("pending"), 0));
    orders.execute("ALTER TABLE out_of_reach RENAME TO outbox_messages").await;
    assert_eq!((orders.count("orders").await, orders.events().await.len()), (1, 1));
}

async fn guests_need_guest_checkout(orders: Orders) {
    let id = orders.placed_by(Who::Guest).await;
    let closed = orders.beside(|config| config.guest_checkout = false).await;
    let client = reqwest::Client::new();
    for request in [
        client.post(format!("{closed}/orders")).json(&one_of(Who::Guest, 1)),
        client.get(format!("{closed}/orders")),
        client.get(format!("{closed}/orders/{id}")),
        client.post(format!("{closed}/orders/{id}/cancel")),
    ] {
        let refused = send(request).await.expect(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let request = client.post(format!("{closed}/orders")).json(&one_of(Who::Anna, 1));
    send(crate::harness::as_caller(request, Who::Anna)).await.expect(201, "");
}

async fn the_catalog_is_an_optional_dependency(orders: Orders) {
    let ready = orders.get(Who::Guest, "/readyz").await.expect(200, "").json();
    assert_eq!(ready["dependencies"], json!({ "catalog": "ok", "consumer": "ok", "database": "ok" }));
    let alone = orders.beside(|config| config.catalog_url = "http://127.0.0.1:1".parse().unwrap()).await;
    let ready = send(reqwest::Client::new().get(format!("{alone}/readyz"))).await.expect(200, "").json();
    assert_eq!(
        (&ready["status"], &ready["dependencies"]["catalog"]),
        (&json!("degraded"), &json!("unavailable"))
    );
}

async fn orders_are_counted(orders: Orders) {
    let id = orders.placed_by(Who::Anna).await;
    orders.cancel(Who::Anna, &id).await.expect(200, "");
    orders.cancel(Who::Anna, &id).await.expect(200, "");
    orders.post(Who::Anna, "/orders", &one_of(Who::Boris, 1)).await.expect(403, "forbidden");
    assert_eq!(orders.metric("orders_placed_total").await, Some(1));
    assert_eq!(orders.metric("orders_cancelled_total{code=\"by_customer\"}").await, Some(1));
    assert_eq!(orders.metric("orders_refused_total{reason=\"customer\"}").await, Some(1));
}
