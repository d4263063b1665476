//! Others may write to Redis, and Redis may refuse writes.

use std::time::{Duration, Instant};

use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use shop_testing::{Log, Proxy};

use crate::shop::Shop;

const LIST: &str = "catalog:products";
const CLAIM: &str = "{catalog:products}:claim";
const SEAL: &str = "{catalog:products}:seal";

async fn connect(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Sends requests until Redis holds the right list again; all responses meanwhile must be right too.
async fn heals(shop: &Shop, redis: &mut MultiplexedConnection, truth: &str, what: &str) {
    let started = Instant::now();
    loop {
        let response = shop.get("/products").await;
        assert_eq!(response.status(), 200, "{what}");
        assert_eq!(response.text().await.unwrap(), truth, "{what}");
        let mut look = redis::pipe();
        look.cmd("GETRANGE").arg(LIST).arg(0).arg(-1).cmd("TTL").arg(LIST);
        let found: Result<(String, i64), _> = look.query_async(redis).await;
        if found.is_ok_and(|(list, life)| list == truth && (1..=60).contains(&life)) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{what}: the list is not cached again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_puts_into_redis_is_removed_and_never_shown() {
    let Some(server) = shop_testing::redis().await else { return };
    let Some(shop) = Shop::with_redis(&server.url).await else { return };
    let redis = &mut connect(&server.url).await;
    let truth = shop.get("/products").await.text().await.unwrap();
    heals(&shop, redis, &truth, "at first").await;
    let forged = truth.replacen("\"price\":5", "\"price\":1", 1);
    assert_ne!(forged, truth);
    let stolen: String = redis.get(SEAL).await.unwrap();

    for (what, list) in [
        ("no JSON", "oops"),
        ("no list", "{}"),
        ("no products", "[1]"),
        ("nothing", ""),
        ("a forged price", forged.as_str()),
    ] {
        let _: () = redis.set_ex(LIST, list, 60).await.unwrap();
        heals(&shop, redis, &truth, what).await;
        let _: () = redis.set(LIST, list).await.unwrap();
        heals(&shop, redis, &truth, &format!("{what}, for ever")).await;
        let mut both = redis::pipe();
        both.set_ex(SEAL, &stolen, 60).set_ex(LIST, list, 60);
        let _: () = both.query_async(redis).await.unwrap();
        heals(&shop, redis, &truth, &format!("{what}, with another's seal")).await;
    }
    let _: () = redis.persist(LIST).await.unwrap();
    heals(&shop, redis, &truth, "the true list, for ever").await;

    for key in [LIST, SEAL] {
        for (what, command, value) in
            [("a hash", "HSET", ["a", "b"]), ("a list of Redis", "LPUSH", ["a", "b"])]
        {
            let mut replace = redis::pipe();
            replace.del(key).cmd(command).arg(key).arg(&value);
            let _: () = replace.query_async(redis).await.unwrap();
            heals(&shop, redis, &truth, what).await;
        }
    }
    for claim in [
        redis::Cmd::set(CLAIM, "for ever"),
        redis::Cmd::set_ex(CLAIM, "for long", 3600),
        redis::Cmd::lpush(CLAIM, 1),
    ] {
        let mut replace = redis::pipe();
        replace.del(CLAIM).add_command(claim).del(LIST);
        let _: () = replace.query_async(redis).await.unwrap();
        heals(&shop, redis, &truth, "a claim that nobody gives back").await;
    }
}

/// How many connections a Redis has accepted since it started.
async fn connections(redis: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query_async(redis).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_redis_that_refuses_costs_one_line_and_no_connection() {
    for (what, command) in [
        ("no room", "CONFIG SET maxmemory 1"),
        ("a replica", "REPLICAOF 127.0.0.1 1"),
        ("no right to write", "ACL SETUSER default -set -del"),
        ("no right to read", "ACL SETUSER default -getrange"),
    ] {
        let Some(server) = shop_testing::private_redis().await else { return };
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer({
                let log = log.clone();
                move || log.clone()
            })
            .finish();
        let _installed = tracing::subscriber::set_default(subscriber);
        let Some(shop) = Shop::with_redis(&server.url).await else { return };
        let mut redis = connect(&server.url).await;
        let mut words = command.split(' ');
        let mut refuse = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            refuse.arg(word);
        });
        let _: () = refuse.query_async(&mut redis).await.unwrap();

        let before = connections(&mut redis).await;
        for _ in 0..100 {
            let (cache, mug) = shop.listed(1).await;
            assert_eq!((cache.as_str(), mug["name"].as_str()), ("miss", Some("Morning Mug")), "{what}");
        }
        assert_eq!(shop.json("/readyz").await["status"], "degraded", "{what}");
        // A primary that has become a replica is left, at most once in five seconds.
        let more = connections(&mut redis).await - before;
        assert!(more <= if what == "a replica" { 2 } else { 0 }, "{what}: {more} connections");
        let log = log.text();
        let lines = log.lines().filter(|line| line.contains("Redis")).collect::<Vec<_>>();
        let refusals = lines.iter().filter(|line| line.contains("Redis refuses")).count();
        assert!(refusals == 1 && lines.len() <= 5, "{what}: {lines:#?}");
    }
}

#[tokio::test]
async fn after_a_failover_the_list_is_cached_by_the_new_primary() {
    let (Some(old), Some(new)) = (shop_testing::private_redis().await, shop_testing::private_redis().await)
    else {
        return;
    };
    let network = Proxy::to(&old.url).await;
    let Some(shop) = Shop::with_redis(network.url()).await else { return };
    shop.listed(1).await;
    assert_eq!(shop.listed(1).await.0, "hit");

    // Old connections stay open, as they do when a primary is demoted.
    network.switch_to(&new.url);
    let primary = reqwest::Url::parse(&new.url).unwrap();
    let mut demoted = connect(&old.url).await;
    let mut demote = redis::cmd("REPLICAOF");
    demote.arg(primary.host_str()).arg(primary.port());
    let _: () = demote.query_async(&mut demoted).await.unwrap();

    let promoted = connect(&new.url).await;
    let cached = async || {
        shop.listed(1).await;
        redis::cmd("EXISTS").arg("catalog:products").query_async::<bool>(&mut promoted.clone()).await.unwrap()
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    // The replica has begun as a copy of an empty server, so that the list is to be filled.
    while !cached().await {
        assert!(tokio::time::Instant::now() < deadline, "the new primary has no list");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(shop.listed(1).await.0, "hit");
}
