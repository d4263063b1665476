//! Logging in and out.

use axum::http::StatusCode;
use chrono::TimeDelta;
use shop_client::{Failure, OnBehalf};
use shop_runtime::{config::ExposeSecret as _, http::Peer};

use super::parts::{Asked, Parts, Trouble, sessions_away};
use crate::{
    commands::{Credentials, LoginError},
    replies::{self, Reply},
    sessions::Session,
};

impl Parts {
    /// Deletes the message first, whatever happens next: a password must not stay on a screen.
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
            Err(trouble) => replies::login_failed(asked.language, &trouble.in_words(asked.language), deleted),
        }
    }

    async fn new_session(&self, asked: Asked, credentials: &Credentials) -> Result<Session, Trouble> {
        // Without the previous session, this is a login from a chat that auth_service does not know.
        let last = self.sessions.get(asked.chat).await.ok().flatten();
        let chat = OnBehalf {
            peer: &Peer::Named(format!("_telegram{}", asked.chat)),
            device: last.as_ref().map(|session| session.token.expose_secret()),
        };
        let password = credentials.password.expose_secret();
        let outcome = self.shop.auth.log_in(&credentials.email, password, chat).await;
        let token = outcome
            .map_err(|failure| if is_wrong(&failure) { Trouble::NotLoggedIn } else { failure.into() })?;
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

/// Whether the address or the password is wrong.
fn is_wrong(failure: &Failure) -> bool {
    matches!(failure, Failure::Unauthorized(_))
        || failure.is_refused_as("bad-credentials")
        // No account can have this password.
        || failure.is_refused_with(StatusCode::UNPROCESSABLE_ENTITY)
}
