use std::time::Duration;

use anyhow::{Context as _, bail};
use redis::{Client, RedisResult, aio::MultiplexedConnection};
use uuid::Uuid;

use crate::{skip::server_url, teardown::teardown};

/// How long a claim outlives a killed test.
const CLAIM_SECONDS: u64 = 900;

/// A numbered, empty database for one test. No other test has it until this is dropped, which empties it.
///
/// `FLUSHALL`, `CLIENT KILL` and similar commands affect the whole server: tests that need them start their own, with
/// [`crate::private_redis`].
#[derive(Debug)]
pub struct TestRedis {
    /// `redis://…/<number>`
    pub url: String,
    server: String,
    number: u32,
}

/// Takes an empty database on the server that `SHOP_TEST_REDIS_URL` names.
///
/// # Panics
/// A server is named but refuses, or has no free database for a minute.
pub async fn redis() -> Option<TestRedis> {
    let server = server_url("SHOP_TEST_REDIS_URL")?;
    match claim(&server).await {
        Ok(number) => Some(TestRedis { url: at(&server, number), server, number }),
        Err(error) => panic!("Redis gives the test no database: {error:#}"),
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        let (server, number) = (self.server.clone(), self.number);
        teardown("a test's Redis database", async move {
            flush(&server, number).await?;
            let mut registry = connect(&at(&server, 0)).await?;
            redis::cmd("DEL").arg(claim_key(number)).query_async::<()>(&mut registry).await?;
            Ok(())
        });
    }
}

/// Takes a number that nobody has; database 0 holds the claims and is never given out.
async fn claim(server: &str) -> anyhow::Result<u32> {
    let mut registry = connect(&at(server, 0)).await.context("SHOP_TEST_REDIS_URL")?;
    let (_, databases): (String, u32) =
        redis::cmd("CONFIG").arg("GET").arg("databases").query_async(&mut registry).await?;
    let candidates = databases.saturating_sub(1).max(1);
    // Tests that start together begin at different numbers.
    let start = Uuid::new_v4().as_fields().0;
    for _round in 0..600 {
        for step in 0..candidates {
            let number = 1 + start.wrapping_add(step) % candidates;
            let mut claim = redis::cmd("SET");
            claim.arg(claim_key(number)).arg(1).arg("NX").arg("EX").arg(CLAIM_SECONDS);
            if claim.query_async::<Option<String>>(&mut registry).await?.is_some() {
                // A killed test may have left something.
                flush(server, number).await?;
                return Ok(number);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("all {databases} databases have been in use for a minute");
}

async fn flush(server: &str, number: u32) -> RedisResult<()> {
    let mut connection = connect(&at(server, number)).await?;
    redis::cmd("FLUSHDB").query_async(&mut connection).await
}

async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    Client::open(url)?.get_multiplexed_async_connection().await
}

fn claim_key(number: u32) -> String {
    format!("shop-test:database:{number}")
}

/// The URL of a numbered database on a server; the server's own URL may name another.
fn at(server: &str, number: u32) -> String {
    let authority = server.find("://").map_or(0, |scheme| scheme + 3);
    let end = server[authority..].find('/').map_or(server.len(), |slash| authority + slash);
    format!("{}/{number}", &server[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_replaces_the_one_in_the_servers_url() {
        assert_eq!(at("redis://127.0.0.1:6379", 3), "redis://127.0.0.1:6379/3");
        assert_eq!(at("redis://user:secret@cache:6379/0", 3), "redis://user:secret@cache:6379/3");
    }

    #[tokio::test]
    async fn two_tests_never_share_a_redis_database() {
        let Some(one) = redis().await else { return };
        let Some(two) = redis().await else { return };
        assert_ne!(one.url, two.url);
        let mut first = connect(&one.url).await.unwrap();
        redis::cmd("SET").arg("key").arg(1).query_async::<()>(&mut first).await.unwrap();
        let mut second = connect(&two.url).await.unwrap();
        let seen: Option<String> = redis::cmd("GET").arg("key").query_async(&mut second).await.unwrap();
        assert_eq!(seen, None);
    }
}
