use axum::extract::FromRef;
use shop_runtime::{auth::TokenVerifier, config::ExposeSecret as _, config::SecretString, seal::Seal};

use crate::{mail::Folder, store::Store};

/// Shared by the endpoints.
#[derive(Clone)]
pub(crate) struct App {
    /// The tables.
    pub(crate) store: Store,
    /// Verifies tokens.
    pub(crate) tokens: TokenVerifier,
    /// Verifies that the bot asks; `None` without Telegram.
    pub(crate) bot: Option<BotProofs>,
    /// The mails that can be read here; `None` if they cannot.
    pub(crate) mailbox: Option<Folder>,
}

/// The seals by which the bot shows that it is the bot: it has the same token.
#[derive(Clone, Debug)]
pub(crate) struct BotProofs {
    /// On a chat and the access token of its customer.
    pub(crate) link: Seal,
    /// On a chat.
    pub(crate) unlink: Seal,
}

impl BotProofs {
    pub(crate) fn new(token: &SecretString) -> Self {
        let seal = |purpose| Seal::new(purpose, token.expose_secret().as_bytes());
        Self { link: seal("telegram-link"), unlink: seal("telegram-unlink") }
    }
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.tokens.clone()
    }
}
