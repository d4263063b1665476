use std::sync::Arc;

use axum::extract::FromRef;
use shop_core::Clock;
use shop_runtime::{auth::TokenVerifier, seal::Envelope};

use crate::{
    domain::{Catalog, GuestRate},
    metrics::Metrics,
    store::Store,
    watch::Watch,
};

/// Shared by the endpoints.
#[derive(Clone)]
pub(crate) struct App {
    /// The orders.
    pub store: Store,
    /// The products.
    pub catalog: Arc<dyn Catalog>,
    /// Verifies tokens.
    pub tokens: TokenVerifier,
    /// Whether guests may order.
    pub guest_checkout: bool,
    /// How fast guests may order.
    pub guest_rate: GuestRate,
    /// Hides the tokens of guests' orders on their way to the mails.
    pub envelope: Option<Envelope>,
    /// Who watches which order.
    pub watch: Watch,
    /// The time.
    pub clock: Clock,
    /// The counters.
    pub metrics: Metrics,
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.tokens.clone()
    }
}
