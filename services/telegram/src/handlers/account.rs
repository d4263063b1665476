//! Logging in and out.

use chrono::TimeDelta;
use reqwest::StatusCode;

use super::{Asked, Parts, Trouble, sessions_away};
use crate::{
    commands::{Credentials, LoginError},
    replies::{self, Reply},
    sessions::Session,
    shop::{OnBehalf, ShopError},
};

impl Parts {
    /// Deletes the message first, whatever comes of the rest: a password must not stay on a screen.
    pub(super) async fn log_in(&self, asked: Asked, credentials: Result<Credentials, LoginError>) -> Reply {
        let deleted = match self.api.delete(asked.chat, asked.message).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = %error, "a message with a password was not deleted");
                false
            }
        };
        if !asked.private {
            return replies::login_in_a_group(asked.language, deleted);
        }
        let credentials = match credentials {
            Ok(credentials) => credentials,
            Err(error) => return replies::login_not_understood(asked.language, error, deleted),
        };
        match self.new_session(asked, &credentials).await {
            Ok(session) => {
                replies::logged_in(asked.language, &credentials.email, session.expires_at, deleted)
            }
            Err(Trouble::NotLoggedIn) => replies::login_refused(asked.language, deleted),
            Err(trouble) => replies::login_failed(asked.language, &trouble.told(asked.language), deleted),
        }
    }

    async fn new_session(&self, asked: Asked, credentials: &Credentials) -> Result<Session, Trouble> {
        // Without the last session a login is only one from a chat that is not known yet.
        let last = self.sessions.get(asked.chat).await.ok().flatten();
        let chat = OnBehalf { chat: asked.chat.0, device: last.map(|session| session.token) };
        let token = self.shop.log_in(credentials, &chat).await.map_err(|error| match error {
            ShopError::Unauthorized => Trouble::NotLoggedIn,
            // A password that no account can have is wrong too.
            ShopError::Refused(refusal) if refusal.status == StatusCode::UNPROCESSABLE_ENTITY => {
                Trouble::NotLoggedIn
            }
            error => error.into(),
        })?;
        let expires_at = self.clock.now() + TimeDelta::seconds(token.expires_in.into());
        let session = Session { token: token.access_token, expires_at };
        self.sessions.put(asked.chat, &session).await.map_err(|error| sessions_away(&error))?;
        Ok(session)
    }

    pub(super) async fn log_out(&self, asked: Asked) -> Result<Reply, Trouble> {
        self.sessions.remove(asked.chat).await.map_err(|error| sessions_away(&error))?;
        Ok(replies::logged_out(asked.language))
    }
}
