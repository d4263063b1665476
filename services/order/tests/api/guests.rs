//! What guests and strangers may do with guests' orders.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use shop_runtime::{
    config::Demo,
    seal::{LinkConfig, Unsealable},
};

use crate::harness::{Answer, Orders, Who, as_caller, on_both_databases, one_of, send};

on_both_databases!(
    a_strangers_list_holds_outlines_alone,
    a_guest_reads_and_cancels_with_the_orders_token,
    without_its_token_a_guests_order_is_not_there,
    a_token_is_told_once_and_to_a_repeated_request,
    neither_the_token_nor_the_key_is_in_the_database,
    an_orders_token_outlives_guest_checkout,
    a_token_that_cannot_be_one_is_refused,
    guests_have_a_rate,
    a_guests_token_travels_sealed_to_whoever_has_the_secret,
);

async fn guests_order(orders: &Orders) -> (String, String) {
    let placed = orders.post(Who::Guest, "/orders", &one_of(Who::Guest, 1)).await.expect(201, "").json();
    let text = |name: &str| placed[name].as_str().unwrap().to_owned();
    (text("id"), text("order_token"))
}

async fn a_strangers_list_holds_outlines_alone(orders: Orders) {
    let (id, _) = guests_order(&orders).await;
    orders.placed_by(Who::Anna).await;
    let list = orders.get(Who::Guest, "/orders").await.expect(200, "");
    assert_eq!(list.header("cache-control"), Some("no-store"));
    assert_eq!(
        list.json(),
        json!([{
            "id": id,
            "customer_email": "g***@example.com",
            "total_amount": 500.0,
            "status": "pending",
            "created_at": "2027-01-15T08:00:00Z",
        }])
    );
    let of_the_shop = orders.get(Who::Admin, "/orders").await.expect(200, "").json();
    assert_eq!(of_the_shop[1]["customer_email"], Who::Guest.email());
    assert_eq!(of_the_shop[1]["items"][0]["name"], "Product 1");
}

async fn a_guest_reads_and_cancels_with_the_orders_token(orders: Orders) {
    let (id, token) = guests_order(&orders).await;
    let path = format!("/orders/{id}");
    let read = orders.get_with(&token, &path).await.expect(200, "");
    assert_eq!(read.json()["customer_email"], Who::Guest.email());
    assert_eq!(read.json()["order_token"], Value::Null, "it is told once");
    assert_eq!(read.header("cache-control"), Some("no-store"));
    assert_eq!(
        orders.get(Who::Guest, &format!("{path}?token={token}")).await.expect(200, "").text,
        read.text
    );
    let cancel = orders.request(Method::POST, &format!("{path}/cancel")).header("X-Order-Token", &token);
    assert_eq!(send(cancel).await.expect(200, "").json()["status"], "cancelled");
    let (id, token) = guests_order(&orders).await;
    let cancel = orders.request(Method::POST, &format!("/orders/{id}/cancel?token={token}"));
    send(cancel).await.expect(200, "");
    assert_eq!(orders.events().await[3].4["reason"], "cancelled by the customer");
}

async fn without_its_token_a_guests_order_is_not_there(orders: Orders) {
    let ((id, _), (_, anothers)) = (guests_order(&orders).await, guests_order(&orders).await);
    let owned = orders.placed_by(Who::Anna).await;
    let refused = async |answer: Answer| answer.expect(404, "not-found").json()["detail"].clone();
    let nowhere = refused(orders.get(Who::Guest, "/orders/00000000-0000-7000-8000-000000000000").await).await;
    for id in [&id, &owned] {
        let path = format!("/orders/{id}");
        for (headers, query) in
            [(None, String::new()), (Some(&anothers), String::new()), (None, format!("?token={anothers}"))]
        {
            for (method, path) in [(Method::GET, path.clone()), (Method::POST, format!("{path}/cancel"))] {
                let request = orders.request(method, &format!("{path}{query}"));
                let request = headers
                    .into_iter()
                    .fold(request, |request, token| request.header("X-Order-Token", token));
                assert_eq!(refused(send(request).await).await, nowhere, "{path}");
            }
        }
    }
    // With an account's token, any other token in the request opens nothing.
    let (id, token) = guests_order(&orders).await;
    let request = orders.request(Method::GET, &format!("/orders/{id}")).header("X-Order-Token", token);
    send(request.bearer_auth(Who::Anna.token().unwrap())).await.expect(404, "not-found");
    assert_eq!(orders.count("orders WHERE status = 'pending'").await, 4);
}

async fn a_token_is_told_once_and_to_a_repeated_request(orders: Orders) {
    let key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    let first = orders.post_with_key(Who::Guest, key, &one_of(Who::Guest, 1)).await.expect(201, "");
    let again = orders.post_with_key(Who::Guest, key, &one_of(Who::Guest, 1)).await.expect(201, "");
    assert_eq!(first.text, again.text);
    let token = first.json()["order_token"].as_str().unwrap().to_owned();
    orders.get_with(&token, &format!("/orders/{}", first.id())).await.expect(200, "");
    let other = orders.post(Who::Guest, "/orders", &one_of(Who::Guest, 1)).await.expect(201, "");
    assert_ne!(other.json()["order_token"], token.as_str());
    let of_an_account = orders.post(Who::Anna, "/orders", &one_of(Who::Anna, 1)).await.expect(201, "");
    assert_eq!(of_an_account.json().get("order_token"), None);
}

async fn neither_the_token_nor_the_key_is_in_the_database(orders: Orders) {
    let key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    let placed = orders.post_with_key(Who::Guest, key, &one_of(Who::Guest, 1)).await.expect(201, "").json();
    let token = placed["order_token"].as_str().unwrap();
    for secret in [token, key] {
        for place in [
            "idempotency_keys WHERE body",
            "idempotency_keys WHERE location",
            "outbox_messages WHERE CAST(payload AS text)",
        ] {
            assert_eq!(orders.count(&format!("{place} LIKE '%{secret}%'")).await, 0, "{place}");
        }
    }
    assert_eq!(
        orders.count("idempotency_keys WHERE body LIKE '%guest@example.com%'").await,
        1,
        "it is looked at"
    );
    assert_eq!(orders.count("idempotency_keys WHERE sealed_token IS NOT NULL").await, 1);
    assert_eq!(orders.count("orders WHERE guest_token IS NOT NULL").await, 1);
}

async fn an_orders_token_outlives_guest_checkout(orders: Orders) {
    let (id, token) = guests_order(&orders).await;
    let closed = orders.beside(|config| config.guest_checkout = false).await;
    let client = reqwest::Client::new();
    let request = client.get(format!("{closed}/orders/{id}")).header("X-Order-Token", &token);
    send(request).await.expect(200, "");
    send(client.get(format!("{closed}/orders")).header("X-Order-Token", &token))
        .await
        .expect(401, "unauthorized");
}

async fn a_token_that_cannot_be_one_is_refused(orders: Orders) {
    let (id, token) = guests_order(&orders).await;
    let path = format!("/orders/{id}");
    let longer = format!("{token}A");
    for text in ["", "x", "null", &longer, &token[..42]] {
        orders.get_with(text, &path).await.expect(400, "malformed-request");
    }
    for query in ["token=", "token=x", "token=%00", "tokken=", &format!("token={token}&token={token}")] {
        orders.get(Who::Guest, &format!("{path}?{query}")).await.expect(400, "malformed-request");
    }
    let twice = orders.request(Method::GET, &path).header("X-Order-Token", &token);
    send(twice.header("X-Order-Token", &token)).await.expect(400, "malformed-request");
    // The header takes precedence; the query must still contain a valid token.
    let other = "A".repeat(43);
    let both = |query: &str, header: &str| {
        send(orders.request(Method::GET, &format!("{path}?token={query}")).header("X-Order-Token", header))
    };
    both(&other, &token).await.expect(200, "");
    both(&token, &other).await.expect(404, "not-found");
    both("x", &token).await.expect(400, "malformed-request");
}

async fn guests_have_a_rate(orders: Orders) {
    let limited = orders.beside(|config| config.guest_orders_per_minute = 5).await;
    let client = reqwest::Client::new();
    let place = async |who: Who, email: &str, key: Option<&str>| {
        let body = json!({ "customer_email": email, "items": [{ "product_id": 1, "quantity": 1 }] });
        let request = client.post(format!("{limited}/orders")).json(&body);
        let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
        send(as_caller(request, who)).await
    };
    let first = place(Who::Guest, "a@example.com", Some("k")).await.expect(201, "");
    // A repeated request is not another order.
    for _ in 0..9 {
        assert_eq!(place(Who::Guest, "a@example.com", Some("k")).await.text, first.text);
    }
    let answers = join_all((0..30).map(|_| place(Who::Guest, "a@example.com", None))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 4);
    let refused = place(Who::Guest, "a@example.com", None).await.expect(429, "too-many-orders");
    assert_eq!(refused.header("retry-after"), Some("12"));
    place(Who::Guest, "b@example.com", None).await.expect(201, "");
    for _ in 0..20 {
        place(Who::Anna, "anna@example.com", None).await.expect(201, "");
    }
    orders.clock.advance(chrono::TimeDelta::seconds(12));
    place(Who::Guest, "a@example.com", None).await.expect(201, "");
    let metrics = send(client.get(format!("{limited}/metrics"))).await.text;
    assert!(metrics.contains("orders_refused_total{reason=\"too_many\"} 27"), "{metrics}");
}

async fn a_guests_token_travels_sealed_to_whoever_has_the_secret(orders: Orders) {
    let link = LinkConfig { secret: Some("4f1c0b7e9d2a4c558861b0d3f7a9e6c2".into()) };
    let linked = orders.beside(|config| config.link = link.clone()).await;
    let mut tokens = Vec::new();
    for who in [Who::Guest, Who::Guest, Who::Anna] {
        let request = reqwest::Client::new().post(format!("{linked}/orders")).json(&one_of(who, 1));
        let request = as_caller(request.header("Accept-Language", "ru-RU, en;q=0.5"), who);
        tokens.push(send(request).await.expect(201, "").json()["order_token"].clone());
    }
    let events = orders.events().await;
    let envelope = link.envelope(Demo::default()).unwrap().unwrap();
    let sealed = |number: usize| events[number].4["sealed_token"].as_str().unwrap();
    let opened = |number: usize, order: usize| envelope.open(sealed(number), events[order].2.as_bytes());
    for number in [0, 1] {
        assert_eq!(opened(number, number).unwrap(), tokens[number].as_str().unwrap().as_bytes());
        assert_eq!(events[number].4["language"], "ru");
    }
    assert_eq!(opened(0, 1), Err(Unsealable::Foreign), "it is bound to its order");
    assert_eq!((events[2].4.get("sealed_token"), &tokens[2]), (None, &Value::Null), "an account needs none");
    // Without the secret there is none.
    guests_order(&orders).await;
    let last = &orders.events().await[3].4;
    assert_eq!((last.get("sealed_token"), last.get("language")), (None, None));
}
