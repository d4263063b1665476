//! Logging in and out.

use std::{future::Future, time::Duration};

use axum::http::StatusCode;
use chrono::TimeDelta;
use shop_client::{Failure, OnBehalf};
use shop_runtime::{Periodically, config::ExposeSecret as _, http::Peer};

use super::parts::{Asked, Parts, Trouble, sessions_away};
use crate::{
    commands::{Credentials, LoginError},
    replies::{self, Reply},
    sessions::Session,
};

/// How long a login or a logout waits for notification_service.
const LINK_PATIENCE: Duration = Duration::from_secs(2);

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
                let is_linked = self.link(asked, &session).await;
                let until = session.expires_at;
                replies::logged_in(asked.language, &credentials.email, until, deleted, is_linked)
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

    /// Has news of the account's orders sent to the chat. A login is one without that too.
    async fn link(&self, asked: Asked, session: &Session) -> bool {
        let Some(notifications) = &self.shop.notifications else { return false };
        let (token, chat) = (session.token.expose_secret(), asked.chat.0);
        let linking = notifications.link_telegram(token, chat, asked.language);
        is_done(linking, "a chat is not linked, and gets no news of its orders").await
    }

    /// Ends the news. Also without a session, which may have expired.
    async fn unlink(&self, asked: Asked) {
        let Some(notifications) = self.shop.notifications.as_ref().filter(|_| asked.private) else { return };
        let unlinking = notifications.unlink_telegram(asked.chat.0);
        is_done(unlinking, "a chat stays linked after its logout").await;
    }

    pub(super) async fn log_out(&self, asked: Asked) -> Result<Reply, Trouble> {
        self.unlink(asked).await;
        self.sessions.remove(asked.chat).await.map_err(|error| sessions_away(&error))?;
        Ok(replies::logged_out(asked.language))
    }
}

/// Waits for a call of notification_service, not for long: somebody is logging in or out.
async fn is_done(call: impl Future<Output = Result<(), Failure>>, otherwise: &'static str) -> bool {
    let failure = match tokio::time::timeout(LINK_PATIENCE, call).await {
        Ok(Ok(())) => return true,
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    static FAILING: Periodically = Periodically::line();
    if let Some(count) = FAILING.due() {
        tracing::warn!(error = failure, count, "{otherwise}");
    }
    false
}

/// Whether the address or the password is wrong.
fn is_wrong(failure: &Failure) -> bool {
    matches!(failure, Failure::Unauthorized(_))
        || failure.is_refused_as("bad-credentials")
        // No account can have this password.
        || failure.is_refused_with(StatusCode::UNPROCESSABLE_ENTITY)
}
