use std::sync::Arc;

use axum::extract::FromRef;
use shop_core::Clock;
use shop_runtime::auth::TokenVerifier;

use crate::{
    domain::{Catalog, GuestRate},
    metrics::Metrics,
    store::Store,
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
