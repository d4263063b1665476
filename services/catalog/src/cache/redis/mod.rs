//! The list in Redis, with a copy in this process that Redis keeps up to date (client-side caching).
//!
//! redis-rs has its own client-side cache (`CacheConfig`). It is not used, because the caller's task puts a
//! reply into it after the connection has handed the reply over: an invalidation that arrives in between finds nothing
//! to remove, and the old value then stays until its TTL ends. [`State`] closes that gap with a generation.

mod connection;
mod keys;
mod sealed;
mod state;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_trait::async_trait;
use redis::{
    Client, IntoConnectionInfo as _, ProtocolVersion, RedisError, RedisResult, Script,
    aio::MultiplexedConnection,
};
use shop_core::Clock;
use shop_runtime::{Periodically, Scope, seal::Seal};
use uuid::Uuid;

use self::{
    connection::Link,
    keys::{CLAIM, LIST, NEXT, SEAL},
    sealed::Found,
    state::Looked,
};
use super::{Away, Cache, Claim, Timing};
use crate::page::Page;

/// The list in Redis.
#[derive(Clone)]
pub struct RedisCache {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    seal: Seal,
    /// Lists that were not accepted.
    disbelieved: Arc<Periodically>,
    timing: Timing,
    clock: Clock,
}

/// A list of more bytes than this is not read to its end, and not accepted: a hundred of the longest products are shorter.
const MAX_LIST: usize = 4 << 20;

struct Scripts {
    /// Takes the claim, unless the list exists or the claim is taken.
    claim: Script,
    /// Fills the list and ends the claim, if it is still valid.
    fill: Script,
    /// Ends the claim, if it is still valid.
    release: Script,
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").field("timing", &self.timing).finish_non_exhaustive()
    }
}

impl RedisCache {
    /// The cache at `url`, whose lists are sealed with `key`. Redis may be away: then every call fails with [`Away`] at once, until a task of the
    /// scope has reached it.
    ///
    /// # Errors
    /// `url` is not a Redis address.
    pub async fn open(url: &str, key: &[u8], timing: Timing, scope: &Scope) -> anyhow::Result<Self> {
        // The error would repeat the address, including the password.
        let info = url.into_connection_info().ok().context("expected redis://…, rediss://… or `memory:`")?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).context("the address is not usable")?;
        let link = Link::new(client, timing.trust);
        link.connect_once().await;
        scope.lifecycle.spawn("redis", link.clone().keep_connected(scope.lifecycle.stopping()));
        Ok(Self {
            link,
            scripts: Arc::new(Scripts {
                claim: Script::new(
                    "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end \
                     local left = redis.call('PTTL', KEYS[2]) \
                     if left == -1 or left > tonumber(ARGV[2]) then redis.call('DEL', KEYS[2]) end \
                     if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end return 0",
                ),
                fill: Script::new(
                    "if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end \
                     redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4]) \
                     if ARGV[3] == '' then redis.call('DEL', KEYS[2]) \
                     else redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end \
                     redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[4]) \
                     redis.call('DEL', KEYS[3]) return 1",
                ),
                release: Script::new(
                    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0",
                ),
            }),
            seal: Seal::new("catalog:products", key),
            disbelieved: Arc::new(Periodically::new(connection::TELL_EVERY)),
            timing,
            clock: scope.clock.clone(),
        })
    }

    /// Whether Redis answers and accepts commands, for `/readyz`.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.link.ping().await.map_err(|Away| anyhow::anyhow!("Redis does not answer"))?;
        match self.link.refusal(Instant::now()) {
            Some(refusal) => Err(anyhow::anyhow!(refusal)),
            None => Ok(()),
        }
    }

    /// Reads the entry in Redis; `None` if it cannot be a list.
    async fn read(&self) -> Result<Option<Found>, Away> {
        // The TTL first: at worst it is that of the previous list, which is shorter.
        let read = |mut redis: MultiplexedConnection| async move {
            let mut pipe = redis::pipe();
            pipe.cmd("PTTL").arg(LIST);
            for key in [LIST, NEXT, SEAL] {
                pipe.cmd("GETRANGE").arg(key).arg(0).arg(MAX_LIST);
            }
            match pipe.query_async(&mut redis).await {
                Ok((life, json, next, seal)) => Ok(Some(Found { life, json, next, seal })),
                Err(error) if is_about_a_type(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.link.run(read).await
    }

    /// Removes an entry that no catalog has written, so that it is loaded again.
    async fn discard(&self) -> Result<(), Away> {
        if let Some(times) = self.disbelieved.due() {
            tracing::warn!(
                times,
                key = LIST,
                "the entry in Redis was not written by a catalog: it is removed"
            );
        }
        let remove = |mut redis: MultiplexedConnection| async move {
            redis::cmd("DEL").arg(LIST).arg(NEXT).arg(SEAL).exec_async(&mut redis).await
        };
        self.link.run(remove).await
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self) -> Result<Option<Arc<Page>>, Away> {
        let asked_at = Instant::now();
        let generation = match self.link.look(asked_at) {
            Looked::Here(page) => return Ok(Some(page)),
            Looked::Changing => return Ok(None),
            Looked::Ask { generation } => generation,
        };
        let found = self.read().await?;
        if found.as_ref().is_some_and(Found::is_nothing) {
            return Ok(None);
        }
        let now = self.clock.now();
        let Some((page, life)) = found.and_then(|found| found.open(&self.seal, now, self.timing.ttl)) else {
            self.discard().await?;
            return Ok(None);
        };
        let page = Arc::new(page);
        // Without a TTL: the list was written between the two commands.
        if let Some(life) = life {
            self.link.keep(generation, &page, asked_at, life);
        }
        Ok(Some(page))
    }

    async fn claim(&self) -> Result<Option<Claim>, Away> {
        let token = self.clock.new_id();
        let mut claim = self.scripts.claim.key(LIST);
        claim.key(CLAIM).arg(token.to_string()).arg(millis(self.timing.claim));
        let claimed: bool =
            self.link.run(|mut redis| async move { claim.invoke_async(&mut redis).await }).await?;
        Ok(claimed.then_some(Claim(token)))
    }

    async fn fill(&self, Claim(token): Claim, page: &Page) -> Result<bool, Away> {
        let mut fill = self.scripts.fill.key(LIST);
        fill.key(NEXT).key(CLAIM).key(SEAL).arg(token.to_string()).arg(page.json().as_ref());
        fill.arg(page.next().unwrap_or_default()).arg(millis(self.timing.ttl));
        fill.arg(sealed::seal(&self.seal, page, self.clock.now()));
        self.link.run(|mut redis| async move { fill.invoke_async(&mut redis).await }).await
    }

    async fn release(&self, Claim(token): Claim) {
        // A claim that cannot be released now expires by itself.
        let _: Result<(), Away> = self.link.run(|redis| self.scripts.end_claim(redis, token)).await;
    }

    async fn invalidate(&self) {
        self.link.invalidate().await;
    }

    fn generation(&self) -> u64 {
        self.link.generation()
    }
}

impl Scripts {
    async fn end_claim(&self, mut redis: MultiplexedConnection, token: Uuid) -> RedisResult<()> {
        self.release.key(CLAIM).arg(token.to_string()).invoke_async(&mut redis).await
    }
}

/// Whether a key holds something other than text.
fn is_about_a_type(error: &RedisError) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == "WRONGTYPE"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
