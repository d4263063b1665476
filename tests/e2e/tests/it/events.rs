//! What a consumer of the shop's events sees.

use std::collections::HashSet;

use lapin::types::AMQPValue;

use crate::support::{Real, Shop, Tap, order_and_type};

#[tokio::test]
async fn an_orders_event_arrives_with_the_documented_payload_properties_and_headers() {
    let Some(real) = Real::take().await else { return };
    let tap = Tap::bind(&real.rabbitmq.url, "order.created").await;
    let shop = Shop::real(&real.backends(), &[]).await;
    let _publisher = shop.publisher().await;
    let order = shop.place_order("buyer@example.com").await;

    let message = tap.take(1).await.remove(0).delivery;
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("shop_events", "order.created"));
    let payload = String::from_utf8(message.data).unwrap();
    let begins = format!(
        concat!(
            r#"{{"order_id":"{}","customer_email":"buyer@example.com","total_amount":2500.00,"items":["#,
            r#"{{"product_id":1,"quantity":2,"price":500.00,"name":"Morning Mug"}},"#,
            r#"{{"product_id":2,"quantity":1,"price":1500.00,"name":"Clay Teapot"}}],"currency":"RUB","#,
            r#""sealed_token":""#
        ),
        order
    );
    assert!(payload.starts_with(&begins) && payload.ends_with(r#""}"#), "{payload}");
    let properties = &message.properties;
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
    assert_eq!(text(properties.message_id()).unwrap().len(), 36);
    assert_eq!(text(properties.kind()).as_deref(), Some("order_created"));
    assert_eq!(text(properties.app_id()).as_deref(), Some("order_service"));
    assert_eq!(text(properties.content_type()).as_deref(), Some("application/json"));
    assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
    assert!(properties.timestamp().is_some());
    let headers = properties.headers().as_ref().unwrap().inner();
    let header = |name: &str| match headers.get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        Some(AMQPValue::LongLongInt(number)) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(header("aggregate_id"), order);
    assert_eq!(header("aggregate_version"), "1");
    assert_eq!(header("traceparent").len(), 55, "W3C trace context");
}

#[tokio::test]
async fn two_publishers_started_by_mistake_publish_nothing_twice() {
    let Some(real) = Real::take().await else { return };
    let tap = Tap::bind(&real.rabbitmq.url, "#").await;
    let shop = Shop::real(&real.backends(), &[]).await;
    let (_one, _two) = tokio::join!(shop.publisher(), shop.publisher());
    let mut orders = Vec::new();
    for n in 0..30 {
        orders.push(shop.place_order(&format!("buyer{n}@example.com")).await);
    }
    for order in &orders {
        shop.cancel_order(order).await;
    }
    let messages: Vec<_> = tap.take(60).await.iter().map(order_and_type).collect();
    assert_eq!(messages.len(), 60);
    assert_eq!(messages.iter().collect::<HashSet<_>>().len(), 60);
}
