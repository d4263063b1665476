//! Behaviour when Redis fails.

use std::time::{Duration, Instant};

use crate::shop::Shop;

/// Sends requests until the list comes from the cache.
async fn cached_again(shop: &Shop) {
    let started = Instant::now();
    while shop.listed(1).await.0 != "hit" {
        assert!(started.elapsed() < Duration::from_secs(10), "the cache did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_costs_nothing_and_is_used_again_when_it_is_back() {
    let Some(redis) = shop_testing::private_redis().await else { return };
    let Some(shop) = Shop::with_redis(&redis.url).await else { return };
    cached_again(&shop).await;

    redis.kill9().await;
    // The first command may still find the broken connection.
    shop.get("/products").await;
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(shop.listed(1).await.0, "miss");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?} for 20 requests", started.elapsed());
    assert_eq!(shop.json("/readyz").await["status"], "degraded");
    shop.set_stock(77).await;
    assert_eq!(shop.listed(1).await.1["stock"], 77);
    assert!(shop.metric("catalog_cache_errors_total") >= 20);

    redis.start().await;
    cached_again(&shop).await;
    assert_eq!(shop.listed(1).await.1["stock"], 77);
    assert_eq!(shop.json("/readyz").await["status"], "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_redis_kept_is_not_believed_after_a_write() {
    let Some(redis) = shop_testing::private_redis().await else { return };
    let Some(shop) = Shop::with_redis(&redis.url).await else { return };
    cached_again(&shop).await;

    redis.freeze().await;
    shop.set_stock(88).await;
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(shop.listed(1).await.1["stock"], 88);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?} for 20 requests", started.elapsed());

    // The old list is still in there, with most of its minute left.
    redis.thaw().await;
    cached_again(&shop).await;
    assert_eq!(shop.listed(1).await.1["stock"], 88);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_not_believed_for_long_when_redis_falls_silent() {
    let Some(redis) = shop_testing::private_redis().await else { return };
    let Some(here) = Shop::with_redis(&redis.url).await else { return };
    let there = here.replica().await;
    cached_again(&here).await;

    // No invalidation can be pushed, and no connection breaks.
    redis.freeze().await;
    there.set_stock(99).await;
    let written = Instant::now();
    while here.listed(1).await.1["stock"] != 99 {
        assert!(written.elapsed() < Duration::from_secs(3), "the copy is still believed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_catalog_starts_without_its_redis() {
    let Some(redis) = shop_testing::private_redis().await else { return };
    redis.kill9().await;
    let Some(shop) = Shop::with_redis(&redis.url).await else { return };
    assert_eq!(shop.listed(1).await.0, "miss");
    redis.start().await;
    cached_again(&shop).await;
}
