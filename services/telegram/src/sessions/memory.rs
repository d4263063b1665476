use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::{Expiry, future::Cache};
use shop_core::Clock;
use teloxide::types::ChatId;

use super::session::{Session, Sessions};

/// More chats than a process without Redis is meant for; when there are more, the least used sessions are dropped.
const MAX_SESSIONS: u64 = 100_000;

/// Sessions that only this process knows: a restart logs everybody out.
pub(crate) struct MemorySessions {
    cache: Cache<ChatId, Session>,
    clock: Clock,
}

impl MemorySessions {
    pub(crate) fn new(clock: Clock) -> Self {
        let ends_with_token = EndsWithToken(clock.clone());
        let cache = Cache::builder().max_capacity(MAX_SESSIONS).expire_after(ends_with_token).build();
        Self { cache, clock }
    }
}

/// Lets the cache drop expired sessions. Whether a session is still valid is decided in `get`, by the clock.
struct EndsWithToken(Clock);

impl EndsWithToken {
    fn left(&self, session: &Session) -> Option<Duration> {
        Some((session.expires_at - self.0.now()).to_std().unwrap_or(Duration::ZERO))
    }
}

impl Expiry<ChatId, Session> for EndsWithToken {
    fn expire_after_create(&self, _: &ChatId, session: &Session, _: Instant) -> Option<Duration> {
        self.left(session)
    }

    fn expire_after_update(
        &self,
        _: &ChatId,
        session: &Session,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.left(session)
    }
}

#[async_trait]
impl Sessions for MemorySessions {
    async fn get(&self, chat: ChatId) -> anyhow::Result<Option<Session>> {
        let session = self.cache.get(&chat).await;
        Ok(session.filter(|session| session.expires_at > self.clock.now()))
    }

    async fn put(&self, chat: ChatId, session: &Session) -> anyhow::Result<()> {
        self.cache.insert(chat, session.clone()).await;
        Ok(())
    }

    async fn remove(&self, chat: ChatId) -> anyhow::Result<()> {
        self.cache.invalidate(&chat).await;
        Ok(())
    }

    async fn ping(&self) -> anyhow::Result<()> {
        Ok(())
    }
}
