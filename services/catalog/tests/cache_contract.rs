//! The contract of the cache, for both implementations.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use catalog::{
    Page,
    cache::{Cache, Claim, MemoryCache, RedisCache, Timing},
};
use shop_core::Clock;
use shop_runtime::{Lifecycle, Scope};

const TIMING: Timing =
    Timing { ttl: Duration::from_secs(60), claim: Duration::from_secs(5), trust: Duration::from_secs(2) };

macro_rules! contract {
    ($($case:ident: $timing:expr),+ $(,)?) => {
        mod memory {
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                super::$case(&MemoryCache::new($timing, Clock::system())).await;
            })+
        }

        mod redis {
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                let Some(redis) = shop_testing::redis().await else { return };
                let scope = Scope::new("test_service", &Lifecycle::new());
                super::$case(&RedisCache::open(&redis.url, b"key", $timing, &scope).await.unwrap()).await;
            })+
        }
    };
}

contract!(
    what_is_filled_is_found: TIMING,
    one_reader_at_a_time_may_fill: TIMING,
    nobody_may_fill_what_is_there: TIMING,
    an_old_list_cannot_be_put_back: TIMING,
    a_claim_fills_once: TIMING,
    an_invalidation_removes_the_list: TIMING,
    a_lost_reader_keeps_others_waiting_only_so_long: Timing { claim: Duration::from_millis(100), ..TIMING },
    a_list_expires: Timing { ttl: Duration::from_millis(200), ..TIMING },
);

fn page(json: &'static str, next: Option<&str>) -> Page {
    Page::new(Bytes::from_static(json.as_bytes()), next.map(str::to_owned))
}

async fn claimed(cache: &impl Cache) -> Claim {
    cache.claim().await.unwrap().expect("nobody has the claim")
}

async fn found(cache: &impl Cache) -> Option<Arc<Page>> {
    let found = cache.get().await.unwrap();
    // Again: now the copy may be used.
    assert_eq!(cache.get().await.unwrap(), found);
    found
}

async fn what_is_filled_is_found(cache: &impl Cache) {
    assert_eq!(found(cache).await, None);
    for page in [page("[1]", None), page("[2]", Some("/products?cursor=x")), page("[3]", None)] {
        let claim = claimed(cache).await;
        assert!(cache.fill(claim, &page).await.unwrap());
        assert_eq!(found(cache).await.as_deref(), Some(&page));
        cache.invalidate().await;
    }
}

async fn one_reader_at_a_time_may_fill(cache: &impl Cache) {
    let claim = claimed(cache).await;
    assert_eq!(cache.claim().await.unwrap(), None);
    cache.release(claim).await;
    let _second = claimed(cache).await;
}

async fn nobody_may_fill_what_is_there(cache: &impl Cache) {
    let claim = claimed(cache).await;
    cache.fill(claim, &page("[]", None)).await.unwrap();
    assert_eq!(cache.claim().await.unwrap(), None);
}

async fn an_old_list_cannot_be_put_back(cache: &impl Cache) {
    let slow = claimed(cache).await;
    let before = cache.generation();
    cache.invalidate().await;
    assert_ne!(cache.generation(), before);
    assert!(!cache.fill(slow, &page("[\"old\"]", None)).await.unwrap());
    assert_eq!(found(cache).await, None);

    // Not even over a newer claim, or a newer list.
    let slow = claimed(cache).await;
    cache.invalidate().await;
    let newer = claimed(cache).await;
    assert!(!cache.fill(slow, &page("[\"old\"]", None)).await.unwrap());
    assert!(cache.fill(newer, &page("[\"new\"]", None)).await.unwrap());
    assert_eq!(found(cache).await.unwrap().json(), "[\"new\"]");
}

async fn a_claim_fills_once(cache: &impl Cache) {
    let first = claimed(cache).await;
    cache.fill(first, &page("[1]", None)).await.unwrap();
    cache.invalidate().await;
    let second = claimed(cache).await;
    cache.release(second).await;
    let _third = claimed(cache).await;
}

async fn an_invalidation_removes_the_list(cache: &impl Cache) {
    let claim = claimed(cache).await;
    cache.fill(claim, &page("[1]", Some("/products?cursor=x"))).await.unwrap();
    assert!(found(cache).await.is_some());
    cache.invalidate().await;
    assert_eq!(found(cache).await, None);
}

async fn a_lost_reader_keeps_others_waiting_only_so_long(cache: &impl Cache) {
    let lost = claimed(cache).await;
    assert_eq!(cache.claim().await.unwrap(), None);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let claim = claimed(cache).await;
    assert!(!cache.fill(lost, &page("[\"old\"]", None)).await.unwrap());
    assert!(cache.fill(claim, &page("[\"new\"]", None)).await.unwrap());
}

async fn a_list_expires(cache: &impl Cache) {
    let claim = claimed(cache).await;
    cache.fill(claim, &page("[]", None)).await.unwrap();
    assert!(found(cache).await.is_some());
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(found(cache).await, None);
}
