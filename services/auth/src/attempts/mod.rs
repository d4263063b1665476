//! Slows down guessing the password of an account: wrong passwords are counted per e-mail address, whether it is registered or not.
//!
//! Each failure counts twice: for the address and the client that tries, and, with a much higher limit, for the address and all
//! strangers together. So one client is stopped soon, many clients are stopped as well, and neither stops a device that
//! has logged in to the account before, because its failures are counted separately. See docs/adr/0015.

mod redis;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::hmac;
use shop_core::{Clock, Email};

use self::redis::RedisBuckets;
use crate::domain::{Bucket, Buckets, Client};

/// How many wrong passwords one client may try at one account; after them, one each [`crate::domain::INTERVAL`].
const BURST: i64 = 10;

/// The same for all strangers together.
const BURST_OF_ALL: i64 = 100;

/// The failures for every address.
pub(crate) struct Attempts {
    key: hmac::Key,
    clock: Clock,
    own: Mutex<Buckets>,
    shared: Option<RedisBuckets>,
}

/// One attempt, counted as a failure from its start so that many at once cannot slip through. If its outcome is never
/// reported, because the request was cut off, it stays a failure.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt {
    buckets: Vec<Bucket>,
    is_shared: bool,
}

/// Too many wrong passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttled;

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("is_shared", &self.shared.is_some()).finish_non_exhaustive()
    }
}

impl Attempts {
    /// Counts in this process, or, with the address of a Redis, for all replicas together.
    ///
    /// `secret` must be known to every replica and to nobody else: it hides the addresses in Redis's keys.
    ///
    /// # Errors
    /// `redis_url` is not a Redis address.
    pub(crate) fn new(secret: &[u8], redis_url: Option<&str>, clock: Clock) -> anyhow::Result<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let shared = redis_url.map(RedisBuckets::new).transpose()?;
        Ok(Self { key, clock, own: Mutex::default(), shared })
    }

    /// Whether Redis answers, for `/readyz`; `None` without one.
    pub(crate) fn shared(&self) -> Option<RedisBuckets> {
        self.shared.clone()
    }

    /// Begins an attempt at `email`'s password.
    pub(crate) async fn begin(&self, email: &Email, client: &Client) -> Result<Attempt, Throttled> {
        let buckets = self.buckets(email, client);
        if let Some(shared) = &self.shared
            && let Ok(is_admitted) = shared.charge(&buckets).await
        {
            return is_admitted.then_some(Attempt { buckets, is_shared: true }).ok_or(Throttled);
        }
        let is_admitted = self.own().charge(&buckets, self.now());
        is_admitted.then_some(Attempt { buckets, is_shared: false }).ok_or(Throttled)
    }

    /// The password was right: the client's earlier failures are forgiven, but nobody else's.
    pub(crate) async fn succeeded(&self, Attempt { buckets, is_shared }: Attempt) {
        match &self.shared {
            // Failures that cannot be forgiven now expire later.
            Some(shared) if is_shared => {
                let _ = shared.forgive(&buckets).await;
            }
            _ => self.own().forgive(&buckets, self.now()),
        }
    }

    /// There was no verdict, through no fault of the client's: the attempt does not count.
    pub(crate) async fn undone(&self, Attempt { buckets, is_shared }: Attempt) {
        match &self.shared {
            Some(shared) if is_shared => {
                let _ = shared.take_back(&buckets).await;
            }
            _ => self.own().take_back(&buckets, self.now()),
        }
    }

    fn own(&self) -> MutexGuard<'_, Buckets> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    fn buckets(&self, email: &Email, client: &Client) -> Vec<Bucket> {
        let bucket = |of: &str, burst| {
            let mut name = [0; 16];
            let whole = hmac::sign(&self.key, format!("auth:attempts\0{email}\0{of}").as_bytes());
            name.copy_from_slice(&whole.as_ref()[..16]);
            Bucket { name, burst }
        };
        let own = bucket(&client.failures(), BURST);
        if client.is_known() { vec![own] } else { vec![own, bucket("", BURST_OF_ALL)] }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use shop_core::UserId;
    use uuid::Uuid;

    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    fn client(number: u8) -> Client {
        Client::at([192, 0, 2, number].into())
    }

    fn attempts(redis_url: Option<&str>) -> Attempts {
        let clock = Clock::manual(Clock::system().now());
        Attempts::new(b"a secret of all replicas", redis_url, clock).unwrap()
    }

    async fn fail(attempts: &Attempts, email: &Email, client: &Client, times: i64) {
        for _ in 0..times {
            let _failed = attempts.begin(email, client).await.unwrap();
        }
    }

    /// In this process, and, if there is one, with a Redis.
    async fn everywhere(case: impl AsyncFn(&Attempts, &Attempts)) {
        let here = attempts(None);
        case(&here, &here).await;
        let Some(redis) = shop_testing::redis().await else { return };
        case(&attempts(Some(&redis.url)), &attempts(Some(&redis.url))).await;
    }

    #[tokio::test]
    async fn replicas_stop_a_client_together() {
        everywhere(async |one, other| {
            let user = email("user@example.com");
            fail(one, &user, &client(1), 5).await;
            fail(other, &user, &client(1), 5).await;
            for replica in [one, other] {
                assert_eq!(replica.begin(&user, &client(1)).await.unwrap_err(), Throttled);
            }
            let _other_address = one.begin(&email("user2@example.com"), &client(1)).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn after_a_failover_of_redis_nothing_is_counted_apart() {
        let (Some(old), Some(new)) =
            (shop_testing::private_redis().await, shop_testing::private_redis().await)
        else {
            return;
        };
        let network = shop_testing::Proxy::to(&old.url).await;
        let (one, other) = (attempts(Some(network.url())), attempts(Some(&new.url)));
        let user = email("user@example.com");
        fail(&one, &user, &client(1), 1).await;

        // The connection to the old primary stays open.
        network.switch_to(&new.url);
        let primary = reqwest::Url::parse(&new.url).unwrap();
        let mut demoted = ::redis::Client::open(old.url.as_str())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let mut demote = ::redis::cmd("REPLICAOF");
        demote.arg(primary.host_str()).arg(primary.port());
        let _: () = demote.query_async(&mut demoted).await.unwrap();

        fail(&one, &user, &client(1), BURST).await;
        assert_eq!(other.begin(&user, &client(1)).await.unwrap_err(), Throttled);
    }

    #[tokio::test]
    async fn a_success_gives_an_attacker_nothing_back() {
        everywhere(async |one, other| {
            let (victim, own) = (email("user@example.com"), email("attacker@example.com"));
            fail(one, &victim, &client(1), BURST).await;
            for _ in 0..20 {
                // A device that has logged in before, and a login of the victim from elsewhere.
                let login = other.begin(&own, &client(1)).await.unwrap();
                other.succeeded(login).await;
                let login = other.begin(&victim, &client(2)).await.unwrap();
                other.succeeded(login).await;
                assert_eq!(one.begin(&victim, &client(1)).await.unwrap_err(), Throttled);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_success_forgives_the_clients_own_failures_on_every_replica() {
        everywhere(async |one, other| {
            let user = email("user@example.com");
            for _ in 0..15 {
                fail(one, &user, &client(1), BURST - 1).await;
                let login = other.begin(&user, &client(1)).await.unwrap();
                other.succeeded(login).await;
            }
            fail(one, &user, &client(1), BURST).await;
        })
        .await;
    }

    #[tokio::test]
    async fn many_strangers_are_stopped_and_a_known_device_is_not() {
        everywhere(async |one, other| {
            let user = email("user@example.com");
            for number in 0..10 {
                fail(one, &user, &client(number), BURST).await;
            }
            assert_eq!(other.begin(&user, &client(100)).await.unwrap_err(), Throttled);
            let device = |number| Client::Device {
                account: UserId(Uuid::from_u128(1)),
                token: Uuid::from_u128(number),
            };
            fail(one, &user, &device(1), BURST).await;
            assert_eq!(other.begin(&user, &device(1)).await.unwrap_err(), Throttled, "it may be stolen");
            let _another = other.begin(&user, &device(2)).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn what_came_to_no_verdict_counts_for_nothing() {
        everywhere(async |one, other| {
            let user = email("user@example.com");
            for _ in 0..3 * BURST {
                let attempt = one.begin(&user, &client(1)).await.unwrap();
                one.undone(attempt).await;
            }
            fail(other, &user, &client(1), BURST).await;
        })
        .await;
    }

    #[tokio::test]
    async fn tries_at_the_same_moment_are_counted_before_they_are_judged() {
        everywhere(async |one, other| {
            let user = email("user@example.com");
            let tries = (0..30).map(|n| [one, other][n % 2].begin(&user, &Client::Operator));
            let outcomes = futures_util::future::join_all(tries).await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
        })
        .await;
    }

    #[tokio::test]
    async fn one_more_is_allowed_every_half_minute() {
        let (attempts, user) = (attempts(None), email("user@example.com"));
        fail(&attempts, &user, &client(1), BURST).await;
        for _ in 0..3 {
            assert_eq!(attempts.begin(&user, &client(1)).await.unwrap_err(), Throttled);
            attempts.clock.advance(TimeDelta::seconds(30));
            fail(&attempts, &user, &client(1), 1).await;
        }
    }

    #[tokio::test]
    async fn without_its_redis_a_replica_counts_for_itself() {
        let Some(redis) = shop_testing::private_redis().await else { return };
        let (attempts, user) = (attempts(Some(&redis.url)), email("user@example.com"));
        fail(&attempts, &user, &client(1), BURST).await;
        redis.kill9().await;
        fail(&attempts, &user, &client(1), BURST).await;
        assert_eq!(attempts.begin(&user, &client(1)).await.unwrap_err(), Throttled);
        redis.start().await;
        tokio::time::sleep(2 * redis::AWAY_FOR).await;
        // It is not a database, so it has forgotten everything.
        fail(&attempts, &email("other@example.com"), &client(1), BURST).await;
        assert_eq!(attempts.begin(&email("other@example.com"), &client(1)).await.unwrap_err(), Throttled);
    }

    #[tokio::test]
    async fn what_somebody_else_wrote_into_redis_locks_nobody_out_for_good() {
        let Some(redis) = shop_testing::redis().await else { return };
        let (attempts, user) = (attempts(Some(&redis.url)), email("user@example.com"));
        let mut connection = ::redis::Client::open(redis.url.as_str())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        for value in ["99999999999999999999", "soon", "", "nan", "inf", "-5"] {
            for bucket in attempts.buckets(&user, &client(1)) {
                let key = redis::key(&bucket);
                let _: () =
                    ::redis::cmd("SET").arg(key).arg(value).query_async(&mut connection).await.unwrap();
            }
            let outcome = attempts.begin(&user, &client(1)).await;
            let key = redis::key(&attempts.buckets(&user, &client(1))[0]);
            let life: i64 = ::redis::cmd("PTTL").arg(key).query_async(&mut connection).await.unwrap();
            assert!((1..=301_000).contains(&life), "{value}: {life} after {outcome:?}");
        }
    }
}
