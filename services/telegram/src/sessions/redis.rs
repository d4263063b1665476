use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use redis::{AsyncTypedCommands as _, SetExpiry, SetOptions};
use serde::{Deserialize, Serialize};
use shop_core::Clock;
use shop_runtime::{
    Periodically,
    config::{ExposeSecret as _, SecretString},
    redis::RedisConnection,
    seal::Seal,
};
use teloxide::types::ChatId;

use super::session::{Session, Sessions};

/// How long one command may take; a person is waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// In bytes. A longer value is cut off, and then not accepted: the shop's tokens have 4 KiB at most.
const MAX_SESSION: usize = 16 * 1024;

/// Sessions in a Redis, which forgets each when its token expires.
pub(crate) struct RedisSessions {
    connection: RedisConnection,
    seal: Seal,
    /// Counts values that were not accepted.
    disbelieved: Periodically,
    clock: Clock,
}

impl RedisSessions {
    pub(crate) fn new(url: &str, secret: &SecretString, clock: Clock) -> anyhow::Result<Self> {
        let connection = RedisConnection::open(url, PATIENCE, 1).context("TELEGRAM_REDIS_URL")?;
        let seal = Seal::new("telegram:session", secret.expose_secret().as_bytes());
        Ok(Self { connection, seal, disbelieved: Periodically::new(Duration::from_secs(30)), clock })
    }

    /// The session in a value of `chat`'s key, if this bot has put it there. With a session of somebody else's making, a customer would
    /// order in another person's name.
    fn read(&self, chat: ChatId, value: &[u8]) -> Option<Session> {
        // Serde's error would quote the value that it could not read, and that may be the token.
        let Stored { token, expires_at, seal } = serde_json::from_slice(value).ok()?;
        let session = Session { token: SecretString::from(token), expires_at };
        self.seal.is_of(&seal, &sealed(chat, &session).each_ref().map(Vec::as_slice)).then_some(session)
    }

    /// Removes a value that is not a session.
    async fn discard(&self, chat: ChatId) -> anyhow::Result<()> {
        if let Some(times) = self.disbelieved.due() {
            tracing::warn!(
                times,
                "a session in Redis was not put there by this bot: it is removed, and its chat has to log in again"
            );
        }
        self.remove(chat).await
    }
}

/// What a session's seal is made of: it is valid for one chat only.
fn sealed(chat: ChatId, session: &Session) -> [Vec<u8>; 3] {
    let expires_at = session.expires_at.timestamp_micros();
    [chat.to_string().into(), session.token.expose_secret().into(), expires_at.to_string().into()]
}

/// The value under a chat's key.
#[derive(Serialize, Deserialize)]
struct Stored {
    token: String,
    expires_at: DateTime<Utc>,
    seal: String,
}

fn key(chat: ChatId) -> String {
    format!("telegram:session:{chat}")
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn get(&self, chat: ChatId) -> anyhow::Result<Option<Session>> {
        let mut connection = self.connection.clone();
        let mut read = redis::cmd("GETRANGE");
        read.arg(key(chat)).arg(0).arg(MAX_SESSION);
        let value: Vec<u8> = match read.query_async(&mut connection).await {
            Ok(value) => value,
            // Not even a string.
            Err(error) if error.code() == Some("WRONGTYPE") => {
                self.discard(chat).await?;
                return Ok(None);
            }
            Err(error) => return Err(error).context("the session was not read"),
        };
        if value.is_empty() {
            return Ok(None);
        }
        let session = self.read(chat, &value);
        if session.is_none() {
            self.discard(chat).await?;
        }
        Ok(session.filter(|session| session.expires_at > self.clock.now()))
    }

    async fn put(&self, chat: ChatId, session: &Session) -> anyhow::Result<()> {
        let stored = Stored {
            token: session.token.expose_secret().to_owned(),
            expires_at: session.expires_at,
            seal: self.seal.of(&sealed(chat, session).each_ref().map(Vec::as_slice)),
        };
        let until = u64::try_from(session.expires_at.timestamp_millis()).unwrap_or_default().max(1);
        let options = SetOptions::default().with_expiration(SetExpiry::PXAT(until));
        let value = serde_json::to_string(&stored)?;
        self.connection
            .clone()
            .set_options(key(chat), value, options)
            .await
            .context("the session was not kept")?;
        Ok(())
    }

    async fn remove(&self, chat: ChatId) -> anyhow::Result<()> {
        self.connection.clone().del(key(chat)).await.context("the session was not removed")?;
        Ok(())
    }

    async fn ping(&self) -> anyhow::Result<()> {
        self.connection.clone().ping().await.context("Redis does not answer")?;
        Ok(())
    }
}
