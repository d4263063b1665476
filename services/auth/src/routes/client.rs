//! The caller.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use chrono::TimeDelta;
use http::{HeaderMap, header, request::Parts};
use shop_core::Email;
use shop_runtime::{auth::TokenVerifier, http::Peer};

use crate::{app::App, domain::Client};

/// How long a token still proves, after it has expired, that its bearer has logged in.
const REMEMBERED: TimeDelta = TimeDelta::days(90);

/// Where a request comes from, and the token it carries, if any. A token is not required, and an invalid one counts as
/// none.
pub(super) struct Asking {
    peer: Client,
    token: Option<String>,
}

impl FromRequestParts<App> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = match Peer::of(&parts.extensions, &parts.headers, app.trust_proxy) {
            Peer::Address(address) => Client::at(address),
            Peer::Named(name) => Client::Named(name),
            Peer::Unknown => Client::Named("unknown".to_owned()),
        };
        Ok(Self { peer, token: bearer(&parts.headers).map(str::to_owned) })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

impl Asking {
    /// A caller of whom only the address is known.
    pub(super) fn stranger(self) -> Client {
        self.peer
    }

    /// The client as seen by the account of `email`.
    pub(super) fn for_account_of(self, email: &Email, verifier: &TokenVerifier) -> Client {
        let remembered = self.token.and_then(|token| verifier.remembers(&token, REMEMBERED));
        match remembered.filter(|claims| claims.email == *email) {
            Some(claims) => Client::Device { account: claims.sub, token: claims.jti },
            None => self.peer,
        }
    }
}
