use std::sync::Arc;

use axum::extract::FromRef;
use shop_core::Clock;
use shop_runtime::auth::TokenVerifier;
use tokio::sync::Notify;

use crate::{metrics::Metrics, provider::simulated::Books, signature::WebhookKey, store::Store};

/// Shared by the endpoints.
#[derive(Clone)]
pub(crate) struct App {
    /// The payments.
    pub store: Store,
    /// Verifies tokens.
    pub tokens: TokenVerifier,
    /// The name of the provider that charges.
    pub provider: &'static str,
    /// The simulated provider's books, if it is that one.
    pub books: Option<Books>,
    /// Verifies webhooks, if there is a secret.
    pub webhook_key: Option<WebhookKey>,
    /// The time.
    pub clock: Clock,
    /// The counters.
    pub metrics: Metrics,
    /// Wakes the worker.
    pub wake: Arc<Notify>,
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.tokens.clone()
    }
}
