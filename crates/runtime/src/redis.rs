//! A connection to Redis that survives a failover.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use redis::{
    Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};

use crate::Periodically;

/// How often a connection is replaced because its server refuses writes: the address may still lead to a replica.
const REPLACE_EVERY: Duration = Duration::from_secs(1);

/// A connection that is opened when it is first used, and opened again after it was lost.
///
/// A primary that becomes a replica keeps its clients' connections open and answers each write with `READONLY`
/// ([Redis replication](https://redis.io/docs/latest/operate/oss_and_stack/management/replication/)). This connection then opens
/// a new one, which resolves the address again and so finds the new primary, and repeats the command: Redis has not run it.
#[derive(Clone)]
pub struct RedisConnection {
    client: Client,
    config: ConnectionManagerConfig,
    manager: Arc<Mutex<ConnectionManager>>,
    replacements: Arc<Periodically>,
}

impl RedisConnection {
    /// A connection to the Redis at `url`, where connecting and each command may take `patience`, and a lost connection is
    /// opened again at once `retries` times. Nothing is connected yet.
    ///
    /// # Errors
    /// `url` is not the address of a Redis; the error does not repeat it, as it may hold a password.
    ///
    /// # Panics
    /// There is no tokio runtime.
    pub fn open(url: &str, patience: Duration, retries: usize) -> anyhow::Result<Self> {
        let client =
            Client::open(url).ok().context("expected the address of a Redis: redis://… or rediss://…")?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience))
            .set_number_of_retries(retries)
            .set_max_delay(Duration::from_secs(1));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self {
            client,
            config,
            manager: Arc::new(Mutex::new(manager)),
            replacements: Arc::new(Periodically::new(REPLACE_EVERY)),
        })
    }

    fn manager(&self) -> ConnectionManager {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new connection, unless the last one was made a moment ago.
    fn replace(&self) -> Option<ConnectionManager> {
        self.replacements.due()?;
        let manager =
            ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone()).ok()?;
        tracing::warn!("Redis has become a read-only replica; connecting again");
        *self.manager.lock().unwrap_or_else(PoisonError::into_inner) = manager.clone();
        Some(manager)
    }
}

/// Whether the server is a replica, or part of a cluster that has not found its primary yet.
pub fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Whether the answer is that the server is a replica; a script reports it as an error of its own.
fn refused(answer: &RedisResult<Value>) -> bool {
    match answer {
        Ok(Value::ServerError(error)) => error.kind() == Some(ServerErrorKind::ReadOnly),
        Ok(_) => false,
        Err(error) => is_read_only(error),
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let answer = self.manager().req_packed_command(command).await;
            match refused(&answer).then(|| self.replace()).flatten() {
                Some(mut manager) => manager.req_packed_command(command).await,
                None => answer,
            }
        })
    }

    /// Not repeated: a part of the pipeline may have been run.
    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { self.manager().req_packed_commands(pipeline, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        self.manager().get_db()
    }
}
