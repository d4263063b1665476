//! The buckets of all replicas together. Redis's clock is used, and Redis itself removes forgiven failures.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use redis::{Script, ScriptInvocation};
use shop_runtime::{Periodically, redis::RedisConnection};

use crate::domain::{Bucket, INTERVAL};

/// How long a Redis that was away is not tried again.
pub(super) const AWAY_FOR: Duration = Duration::from_secs(1);

/// Allows one log line per period that replicas count on their own.
static AWAY: Periodically = Periodically::new(Duration::from_secs(60));

/// Redis cannot be reached now.
#[derive(Debug)]
pub(super) struct Away;

/// How long Redis may take to answer before it counts as away: a person is waiting.
const PATIENCE: Duration = Duration::from_millis(250);

/// The beginning of every script: the time, and the buckets' ends. A value that is not a time, or is later than a full bucket can
/// be, is not ours; it is treated as the latest that ours can be.
const READ: &str = "
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local interval = tonumber(ARGV[1])
    local function read(i)
        local latest = now + ARGV[i + 1] * interval
        local value = redis.call('GET', KEYS[i])
        local ends = value and (tonumber(value) or latest) or now
        if ends ~= ends then ends = latest end
        return math.max(now, math.min(ends, latest))
    end
    local function write(i, ends)
        if ends > now then
            redis.call('SET', KEYS[i], string.format('%.0f', ends), 'PX', string.format('%.0f', ends - now))
        else
            redis.call('DEL', KEYS[i])
        end
    end
";

const CHARGE: &str = "
    for i = 1, #KEYS do
        local ends = read(i)
        if ends + interval > now + ARGV[i + 1] * interval then
            write(i, ends)
            return 0
        end
    end
    for i = 1, #KEYS do write(i, read(i) + interval) end
    return 1
";

const TAKE_BACK: &str = "
    for i = 1, #KEYS do write(i, read(i) - interval) end
    return 1
";

const FORGIVE: &str = "
    local debt = read(1) - now
    write(1, now)
    for i = 2, #KEYS do write(i, read(i) - debt) end
    return 1
";

/// The buckets in a Redis that may be away at any time.
#[derive(Clone)]
pub(crate) struct RedisBuckets {
    connection: RedisConnection,
    scripts: Arc<Scripts>,
    /// Redis is not tried before this time.
    away_until: Arc<Mutex<Option<Instant>>>,
}

struct Scripts {
    charge: Script,
    take_back: Script,
    forgive: Script,
}

/// The key of a bucket. The braces put the buckets of all addresses into one slot of a cluster, so that a script may use two.
pub(super) fn key(bucket: &Bucket) -> String {
    format!("{{auth:attempts}}:{:032x}", u128::from_be_bytes(bucket.name))
}

impl RedisBuckets {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let connection = RedisConnection::open(url, PATIENCE, 0).context("AUTH_REDIS_URL")?;
        let script = |body: &str| Script::new(&format!("{READ}{body}"));
        let scripts =
            Scripts { charge: script(CHARGE), take_back: script(TAKE_BACK), forgive: script(FORGIVE) };
        Ok(Self { connection, scripts: Arc::new(scripts), away_until: Arc::default() })
    }

    /// Counts a failure in all of `buckets`, or in none if one of them is full.
    pub(super) async fn charge(&self, buckets: &[Bucket]) -> Result<bool, Away> {
        self.run(&self.scripts.charge, buckets).await
    }

    /// Removes one failure from each of `buckets`.
    pub(super) async fn take_back(&self, buckets: &[Bucket]) -> Result<bool, Away> {
        self.run(&self.scripts.take_back, buckets).await
    }

    /// Removes all failures from the first of `buckets`, and as many from the others.
    pub(super) async fn forgive(&self, buckets: &[Bucket]) -> Result<bool, Away> {
        self.run(&self.scripts.forgive, buckets).await
    }

    /// Whether Redis answers.
    pub(crate) async fn ping(&self) -> anyhow::Result<()> {
        let mut connection = self.connection.clone();
        redis::cmd("PING").exec_async(&mut connection).await.context("Redis does not answer")
    }

    async fn run(&self, script: &Script, buckets: &[Bucket]) -> Result<bool, Away> {
        if self.away_until().is_some_and(|until| Instant::now() < until) {
            return Err(Away);
        }
        let mut invocation: ScriptInvocation<'_> = script.prepare_invoke();
        for bucket in buckets {
            invocation.key(key(bucket));
        }
        invocation.arg(INTERVAL);
        for bucket in buckets {
            invocation.arg(bucket.burst);
        }
        let mut connection = self.connection.clone();
        match invocation.invoke_async(&mut connection).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Instant::now() + AWAY_FOR);
                if let Some(times) = AWAY.due() {
                    tracing::warn!(%error, times, "Redis is away; each replica counts wrong passwords on its own");
                }
                Err(Away)
            }
        }
    }

    fn away_until(&self) -> Option<Instant> {
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
