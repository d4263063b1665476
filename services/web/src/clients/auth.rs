use axum::http::Method;
use serde::{Deserialize, Serialize};
use shop_core::Email;

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

impl Auth {
    /// Opens an account. Refused as `email-taken` when there is one.
    pub(crate) async fn register(&self, email: &Email, password: &str) -> Result<Token, Failure> {
        self.credentials("POST /auth/register", "/auth/register", email, password).await
    }

    /// Logs in. Refused as `bad-credentials`.
    pub(crate) async fn log_in(&self, email: &Email, password: &str) -> Result<Token, Failure> {
        self.credentials("POST /auth/token", "/auth/token", email, password).await
    }

    async fn credentials(
        &self,
        name: &'static str,
        path: &str,
        email: &Email,
        password: &str,
    ) -> Result<Token, Failure> {
        let credentials = Credentials { email: email.as_str(), password };
        let request = self.0.request(Method::POST, path).json(&credentials);
        self.0.call(name, request).await?.json()
    }
}
