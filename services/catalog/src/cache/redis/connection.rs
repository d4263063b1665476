use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, RedisResult,
    aio::{MultiplexedConnection, SendError},
};
use shop_runtime::{Periodically, redis::is_read_only};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    keys::{CLAIM, LIST, NEXT, SEAL},
    state::{Looked, State},
};
use crate::{cache::Away, page::Page};

/// How long Redis may take to answer a command before it counts as away: then the database is read instead.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);
/// The pause between two attempts to reach a Redis that is away.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// How often a connection is closed because its server has become a replica: the address may lead to the new primary by now, or
/// may still lead to the replica.
const REPLACE_EVERY: Duration = Duration::from_secs(5);

/// The single connection to Redis, kept open by [`Link::keep_connected`], and what was learned over it.
///
/// Any failed command closes it, except errors that Redis itself returns; `READONLY`, from a primary that has become a replica, does close it. While it is closed nobody waits: [`Link::run`]
/// returns [`Away`] at once.
pub(super) struct Link {
    client: Client,
    trust: Duration,
    state: RwLock<State>,
    closed: Notify,
    /// The error that Redis returned instead.
    refusals: Periodically,
    /// New connections because of a server that has become a replica.
    replacements: Periodically,
    last_refusal: Mutex<Option<(Instant, String)>>,
}

/// How often to log something that happens with every request.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(30);

impl Link {
    pub(super) fn new(client: Client, trust: Duration) -> Arc<Self> {
        Arc::new(Self {
            client,
            trust,
            state: RwLock::default(),
            closed: Notify::new(),
            refusals: Periodically::new(TELL_EVERY),
            replacements: Periodically::new(REPLACE_EVERY),
            last_refusal: Mutex::default(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look(&self, now: Instant) -> Looked {
        self.read().look(now)
    }

    pub(super) fn keep(&self, generation: u64, page: &Arc<Page>, asked_at: Instant, life: Duration) {
        self.write().keep(generation, page, asked_at + life);
    }

    pub(super) fn generation(&self) -> u64 {
        self.read().generation()
    }

    /// Runs `command` on the open connection.
    pub(super) async fn run<T, F>(&self, command: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Away>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (number, connection) = self.read().connection().ok_or(Away)?;
        let sent_at = Instant::now();
        match command(connection).await {
            Ok(reply) => {
                self.write().heard(number, sent_at, self.trust);
                Ok(reply)
            }
            Err(error) if is_an_answer(&error) => {
                self.refused(&error);
                if is_read_only(&error) && self.replacements.due().is_some() && self.write().close(number) {
                    self.closed.notify_one();
                }
                Err(Away)
            }
            Err(error) => {
                if self.write().close(number) {
                    tracing::warn!(%error, "Redis is away; products come from the database");
                    self.closed.notify_one();
                }
                Err(Away)
            }
        }
    }

    /// Redis is full, read-only, loading, or denies access.
    fn refused(&self, error: &RedisError) {
        let now = Instant::now();
        if let Some(times) = self.refusals.due() {
            tracing::warn!(%error, times, "Redis refuses commands; products come from the database");
        }
        *self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, error.to_string()));
    }

    /// The latest refusal by Redis.
    pub(super) fn refusal(&self, now: Instant) -> Option<String> {
        let last = self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| now < *at + TELL_EVERY / 3).map(|(_, refusal)| refusal.clone())
    }

    pub(super) async fn ping(&self) -> Result<(), Away> {
        self.run(|mut redis| async move { redis::cmd("PING").exec_async(&mut redis).await }).await
    }

    /// Removes the list and the claim; after a failure, [`Link::keep_connected`] performs it later.
    pub(super) async fn invalidate(&self) {
        let wanted = self.write().want_invalidation();
        // A failure is logged and remembered.
        let _ = self.pay(wanted).await;
    }

    async fn pay(&self, debt: u64) -> Result<(), Away> {
        let remove = |mut redis: MultiplexedConnection| async move {
            redis::cmd("DEL").arg(LIST).arg(NEXT).arg(SEAL).arg(CLAIM).exec_async(&mut redis).await
        };
        self.run(remove).await?;
        self.write().paid(debt);
        Ok(())
    }

    /// Keeps the connection open, checks every half trust time that Redis is alive, and performs pending invalidations.
    pub(super) async fn keep_connected(self: Arc<Self>, stopping: CancellationToken) -> anyhow::Result<()> {
        loop {
            let pause = if self.is_open() { self.trust / 2 } else { RETRY_EVERY };
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                // Redis may be back at once, as after a restart; but a command that always fails must not
                // cause a busy loop.
                () = self.closed.notified() => tokio::time::sleep(RETRY_EVERY / 5).await,
            }
            if self.is_open() {
                self.keep_alive().await;
            } else {
                self.connect_once().await;
            }
        }
    }

    fn is_open(&self) -> bool {
        self.read().connection().is_some()
    }

    async fn keep_alive(&self) {
        let debt = self.read().debt();
        // A failure has closed the connection; nothing else has to be done here.
        let _ = match debt {
            Some(debt) => self.pay(debt).await,
            None => self.ping().await,
        };
    }

    /// Tries to open the connection and to perform pending invalidations.
    pub(super) async fn connect_once(self: &Arc<Self>) {
        let number = self.write().next_connection();
        match self.open(number).await {
            Ok(connection) => {
                self.write().open(number, connection);
                tracing::info!("Redis is connected");
                self.keep_alive().await;
            }
            // This happens at every attempt, so it is not a warning: the first failure was one.
            Err(error) if number > 1 => tracing::debug!(%error, "Redis is still away"),
            Err(error) => tracing::warn!(%error, "Redis is away; products come from the database"),
        }
    }

    /// Opens a connection to which Redis pushes the invalidation of every key that was read over it.
    async fn open(self: &Arc<Self>, number: u64) -> RedisResult<MultiplexedConnection> {
        let link = Arc::downgrade(self);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_push_sender(move |push: PushInfo| Self::pushed(&link, number, &push));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        // NOLOOP: this process knows its own changes.
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").arg("NOLOOP").exec_async(&mut connection).await?;
        Ok(connection)
    }

    /// Called by the connection's own task, in the order in which Redis sent replies and pushes. So the generation has
    /// changed before the reader of any later reply can see it.
    fn pushed(link: &Weak<Self>, number: u64, push: &PushInfo) -> Result<(), SendError> {
        let link = link.upgrade().ok_or(SendError)?;
        match push.kind {
            PushKind::Invalidate => link.write().forget(),
            PushKind::Disconnection if link.write().close(number) => {
                tracing::warn!("Redis closed the connection; products come from the database");
                link.closed.notify_one();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether Redis understood the command but refused it, so that the connection is still usable.
fn is_an_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType)
}
