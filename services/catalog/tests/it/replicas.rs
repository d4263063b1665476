//! Behaviour under concurrent requests and writes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::{on_both_backends, shop::Shop};

on_both_backends!(a_hundred_first_requests_load_the_list_once, a_write_is_seen_by_every_request_after_it);

async fn a_hundred_first_requests_load_the_list_once(shop: Shop) {
    let answers = join_all((0..100).map(|_| shop.get("/products"))).await;
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(shop.metric("catalog_list_loads_total"), 1);
}

async fn a_write_is_seen_by_every_request_after_it(shop: Shop) {
    let readers = join_all((0..8).map(|_| async {
        let mut newest = 0;
        for _ in 0..60 {
            let stock = shop.listed(1).await.1["stock"].as_u64().unwrap();
            // The shop opens with 120.
            if stock != 120 {
                assert!(stock >= newest, "{stock} came after {newest}");
                newest = stock;
            }
        }
    }));
    let writer = async {
        for stock in 1..=30 {
            shop.set_stock(stock).await;
            assert_eq!(
                shop.listed(1).await.1["stock"],
                stock,
                "the write was answered before this read began"
            );
        }
    };
    futures_util::join!(readers, writer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_first_requests_to_two_replicas_load_the_list_once() {
    let Some(one) = Shop::real().await else { return };
    let two = one.replica().await;
    let answers =
        join_all((0..100).map(|number| if number % 2 == 0 { &one } else { &two }.get("/products"))).await;
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(one.metric("catalog_list_loads_total") + two.metric("catalog_list_loads_total"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replicas_write_is_pushed_here() {
    let Some(here) = Shop::real().await else { return };
    let there = here.replica().await;
    for stock in 1..=20 {
        // Twice, so that this process has a copy.
        here.get("/products").await;
        here.get("/products").await;
        there.set_stock(stock).await;
        let written = Instant::now();
        while here.listed(1).await.1["stock"] != stock {
            assert!(written.elapsed() < Duration::from_secs(1), "stock {stock} was not pushed");
        }
    }
}

#[tokio::test]
async fn redis_holds_the_list_as_json_for_a_minute() {
    let Some(redis) = shop_testing::redis().await else { return };
    let Some(shop) = Shop::with_redis(&redis.url).await else { return };
    let listed = shop.get("/products").await.text().await.unwrap();
    let client = redis::Client::open(redis.url.as_str()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let (cached, ttl): (String, i64) = redis::pipe()
        .cmd("GET")
        .arg("catalog:products")
        .cmd("TTL")
        .arg("catalog:products")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(cached, listed);
    assert!((55..=60).contains(&ttl), "{ttl}");
}
