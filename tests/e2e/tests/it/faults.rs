//! What customers and consumers see while things break.

use shop_testing::{postgres, private_rabbitmq, rabbitmq, redis};

use crate::support::{Backends, Real, Shop, Tap, order_and_type, outbox::until};

/// Every order in `placed` was created and then cancelled: each event arrived at least once, in this order.
fn assert_complete_and_ordered(placed: &[String], messages: &[(String, String)]) {
    for order in placed {
        let mut of_order: Vec<&str> =
            messages.iter().filter(|(id, _)| id == order).map(|(_, kind)| kind.as_str()).collect();
        of_order.dedup();
        assert_eq!(of_order, ["order_created", "order_cancelled"], "{order}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_taken_while_the_broker_is_down_and_their_events_arrive_after_it() {
    let (Some(postgres), Some(redis), Some(rabbitmq)) =
        (postgres().await, redis().await, private_rabbitmq().await)
    else {
        return;
    };
    let backends = Backends { postgres: &postgres.url, redis: &redis.url, rabbitmq: &rabbitmq.url };
    drop(Tap::bind(&rabbitmq.url, "#").await);
    let shop = Shop::real(&backends, &[]).await;
    let mut publisher = shop.publisher().await;
    let mut placed = vec![shop.place_order("before@example.com").await];
    // Nothing may be in flight when the broker stops, or it would arrive twice.
    until("the first is published", async || publisher.metric("outbox_published_total").await > 0.0).await;
    rabbitmq.shut_down().await;
    for n in 0..20 {
        placed.push(shop.place_order(&format!("during{n}@example.com")).await);
    }
    for order in &placed {
        shop.cancel_order(order).await;
    }
    rabbitmq.start().await;
    let messages = Tap::connect(&rabbitmq.url).await.take(42).await;
    let messages: Vec<_> = messages.iter().map(order_and_type).collect();
    assert_eq!(messages.len(), 42, "once: no publisher crashed");
    assert_complete_and_ordered(&placed, &messages);
    assert_eq!(publisher.terminate().await.code(), Some(0), "{}", publisher.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_killed_again_and_again_loses_nothing() {
    let Some(real) = Real::take().await else { return };
    let tap = Tap::bind(&real.rabbitmq.url, "#").await;
    let shop = Shop::real(&real.backends(), &[]).await;
    let mut placed = Vec::new();
    for round in 0..3 {
        let mut publisher = shop.publisher().await;
        for n in 0..10 {
            placed.push(shop.place_order(&format!("buyer{round}-{n}@example.com")).await);
        }
        publisher.kill9();
    }
    for order in &placed {
        shop.cancel_order(order).await;
    }
    let _publisher = shop.publisher().await;
    let messages: Vec<_> = tap.take(60).await.iter().map(order_and_type).collect();
    assert_complete_and_ordered(&placed, &messages);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_needs_the_catalog_and_the_list_of_products_does_not_need_redis() {
    let (Some(postgres), Some(redis), Some(rabbitmq)) =
        (postgres().await, shop_testing::private_redis().await, rabbitmq().await)
    else {
        return;
    };
    let backends = Backends { postgres: &postgres.url, redis: &redis.url, rabbitmq: &rabbitmq.url };
    let mut shop = Shop::real(&backends, &[]).await;
    let client = crate::support::http();
    redis.kill9().await;
    let products = client.get(format!("{}/products", shop.catalog)).send().await.unwrap();
    assert_eq!(products.status(), 200);

    shop.processes[1].kill9();
    let body = serde_json::json!({ "customer_email": "buyer@example.com", "items": [{ "product_id": 1, "quantity": 1 }] });
    let answer = client.post(format!("{}/orders", shop.order)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let page = client.get(format!("{}/catalog", shop.web)).send().await.unwrap();
    assert_eq!(page.status(), 503);
    assert!(page.text().await.unwrap().contains("<html"), "a page for people");
}
