use http::Method;
use serde::{Deserialize, Serialize};
use shop_core::Email;
use shop_runtime::{
    config::SecretString,
    http::{FORWARDED_FOR, Peer},
};
use url::Url;

use crate::{Failure, Http, Upstream};

/// A client of auth_service.
#[derive(Clone, Debug)]
pub struct Auth(Upstream);

/// A login, as issued by auth_service.
#[derive(Debug, Deserialize)]
pub struct Token {
    /// For `Authorization: Bearer`.
    pub access_token: SecretString,
    /// Seconds.
    pub expires_in: u32,
}

/// The person or device that logs in, so that auth_service can tell clients apart.
#[derive(Clone, Copy)]
pub struct OnBehalf<'a> {
    /// Their address.
    pub peer: &'a Peer,
    /// The token of an earlier login from the same browser or chat; it may have expired.
    pub device: Option<&'a str>,
}

impl OnBehalf<'_> {
    /// For a call that is made for nobody else: neither an address nor a device is sent.
    pub const OURSELVES: OnBehalf<'static> = OnBehalf { peer: &Peer::Unknown, device: None };
}

#[derive(Serialize)]
struct Credentials<'a> {
    email: &'a str,
    password: &'a str,
}

impl Auth {
    /// auth_service at `base`.
    pub fn new(base: &Url, http: &Http) -> Self {
        Self(Upstream::new("auth_service", base, http))
    }

    /// The service itself, for health checks.
    pub fn upstream(&self) -> &Upstream {
        &self.0
    }

    /// Opens an account, and logs it in.
    ///
    /// # Errors
    /// Refused as `email-taken` if there already is one.
    pub async fn register(
        &self,
        email: &Email,
        password: &str,
        client: OnBehalf<'_>,
    ) -> Result<Token, Failure> {
        self.credentials("POST /auth/register", "register", email, password, client).await
    }

    /// Logs in.
    ///
    /// # Errors
    /// Refused as `bad-credentials` if the address or the password is wrong.
    pub async fn log_in(
        &self,
        email: &Email,
        password: &str,
        client: OnBehalf<'_>,
    ) -> Result<Token, Failure> {
        self.credentials("POST /auth/token", "token", email, password, client).await
    }

    async fn credentials(
        &self,
        span: &'static str,
        path: &str,
        email: &Email,
        password: &str,
        OnBehalf { peer, device }: OnBehalf<'_>,
    ) -> Result<Token, Failure> {
        let credentials = Credentials { email: email.as_str(), password };
        let request = || {
            let mut request = self.0.request(Method::POST, &["auth", path]).json(&credentials);
            if *peer != Peer::Unknown {
                request = request.header(FORWARDED_FOR, peer.to_string());
            }
            if let Some(token) = device {
                request = request.bearer_auth(token);
            }
            request
        };
        self.0.call(span, request).await?.json()
    }
}
