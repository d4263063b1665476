use std::sync::Arc;

use axum::extract::FromRef;
use shop_runtime::auth::TokenVerifier;

use crate::{listing::Listing, store::Products};

/// Shared by the endpoints. Cloning it costs one counter.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    products: Products,
    listing: Listing,
    tokens: TokenVerifier,
}

impl App {
    pub(crate) fn new(products: Products, listing: Listing, tokens: TokenVerifier) -> Self {
        Self(Arc::new(Shared { products, listing, tokens }))
    }

    pub(crate) fn products(&self) -> &Products {
        &self.0.products
    }

    pub(crate) fn listing(&self) -> &Listing {
        &self.0.listing
    }
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.0.tokens.clone()
    }
}
