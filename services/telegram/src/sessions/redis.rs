use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use redis::{
    AsyncTypedCommands as _, Client, SetExpiry, SetOptions,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use serde::{Deserialize, Serialize};
use shop_core::Clock;
use shop_runtime::config::{ExposeSecret as _, SecretString};
use teloxide::types::ChatId;

use super::{Session, Sessions};

/// How long one command may take; a person is waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sessions in a Redis, which forgets each when its token expires.
pub(crate) struct RedisSessions {
    connection: ConnectionManager,
    clock: Clock,
}

impl RedisSessions {
    pub(crate) fn new(url: &str, clock: Clock) -> anyhow::Result<Self> {
        // The driver's own message would repeat the address, and a password may be in it.
        let client = Client::open(url).map_err(|_| {
            anyhow::anyhow!("TELEGRAM_REDIS_URL must begin with redis://, rediss:// or memory:")
        })?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_secs(1));
        let connection = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(|error| anyhow::anyhow!("TELEGRAM_REDIS_URL: {error}"))?;
        Ok(Self { connection, clock })
    }
}

/// The value under a chat's key.
#[derive(Serialize, Deserialize)]
struct Stored {
    token: String,
    expires_at: DateTime<Utc>,
}

fn key(chat: ChatId) -> String {
    format!("telegram:session:{chat}")
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn get(&self, chat: ChatId) -> anyhow::Result<Option<Session>> {
        let value = self.connection.clone().get(key(chat)).await.context("the session was not read")?;
        let Some(value) = value else { return Ok(None) };
        let Ok(stored) = serde_json::from_str::<Stored>(&value) else {
            // Serde's error would quote what it stumbled over, and that may be the token.
            tracing::warn!("a session in Redis is not readable: its chat has to log in again");
            return Ok(None);
        };
        let session = Session { token: SecretString::from(stored.token), expires_at: stored.expires_at };
        Ok(Some(session).filter(|session| session.expires_at > self.clock.now()))
    }

    async fn put(&self, chat: ChatId, session: &Session) -> anyhow::Result<()> {
        let stored =
            Stored { token: session.token.expose_secret().to_owned(), expires_at: session.expires_at };
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
        self.connection.clone().del(key(chat)).await.context("the session was not forgotten")?;
        Ok(())
    }

    async fn ping(&self) -> anyhow::Result<()> {
        self.connection.clone().ping().await.context("Redis does not answer")?;
        Ok(())
    }
}
