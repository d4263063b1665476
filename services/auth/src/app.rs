use std::sync::Arc;

use axum::extract::FromRef;
use shop_core::Clock;
use shop_runtime::{auth::TokenVerifier, database::Database};

use crate::{
    attempts::Attempts,
    domain::{PasswordPolicy, Passwords, Tokens},
    refusals::Refusals,
};

/// Shared by the endpoints.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) refusals: Refusals,
    /// Whether `X-Forwarded-For` identifies the client.
    pub(crate) trust_proxy: bool,
    pub(crate) password_policy: PasswordPolicy,
    pub(crate) verifier: TokenVerifier,
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}
