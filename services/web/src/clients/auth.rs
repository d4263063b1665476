use axum::http::Method;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use shop_core::Email;
use shop_runtime::http::{FORWARDED_FOR, Peer};

use super::{Failure, Upstream};

/// auth_service.
pub(crate) struct Auth(pub(crate) Upstream);

/// A login, as auth_service gives it out.
#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) access_token: String,
    /// Seconds.
    pub(crate) expires_in: i64,
}

#[derive(Serialize)]
struct Credentials<'a> {
    email: &'a str,
    password: &'a str,
}

/// On whose behalf the storefront asks, so that auth_service can tell one visitor from another.
pub(crate) struct OnBehalf<'a> {
    pub(crate) peer: &'a Peer,
    /// The token of an earlier login from the same browser.
    pub(crate) device: Option<&'a str>,
}

impl OnBehalf<'_> {
    fn tell(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match self.peer {
            Peer::Unknown => request,
            peer => request.header(FORWARDED_FOR, peer.to_string()),
        };
        match self.device {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

impl Auth {
    /// Opens an account. Refused as `email-taken` when there is one.
    pub(crate) async fn register(
        &self,
        email: &Email,
        password: &str,
        visitor: &OnBehalf<'_>,
    ) -> Result<Token, Failure> {
        self.credentials("POST /auth/register", "/auth/register", email, password, visitor).await
    }

    /// Logs in. Refused as `bad-credentials`.
    pub(crate) async fn log_in(
        &self,
        email: &Email,
        password: &str,
        visitor: &OnBehalf<'_>,
    ) -> Result<Token, Failure> {
        self.credentials("POST /auth/token", "/auth/token", email, password, visitor).await
    }

    async fn credentials(
        &self,
        name: &'static str,
        path: &str,
        email: &Email,
        password: &str,
        visitor: &OnBehalf<'_>,
    ) -> Result<Token, Failure> {
        let credentials = Credentials { email: email.as_str(), password };
        let request = visitor.tell(self.0.request(Method::POST, path).json(&credentials));
        self.0.call(name, request).await?.json()
    }
}
