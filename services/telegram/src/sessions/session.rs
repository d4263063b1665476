use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shop_runtime::config::SecretString;
use teloxide::types::ChatId;

/// What a chat may present to the shop, and when it expires.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) token: SecretString,
    pub(crate) expires_at: DateTime<Utc>,
}

/// A store of sessions. It never returns an expired one.
#[async_trait]
pub(crate) trait Sessions: Send + Sync {
    /// The chat's session, if it has one that has not expired.
    async fn get(&self, chat: ChatId) -> anyhow::Result<Option<Session>>;

    /// Keeps `session` for `chat` until it expires, and replaces an earlier one.
    async fn put(&self, chat: ChatId, session: &Session) -> anyhow::Result<()>;

    /// Removes the chat's session.
    async fn remove(&self, chat: ChatId) -> anyhow::Result<()>;

    /// Whether the store answers.
    async fn ping(&self) -> anyhow::Result<()>;
}
