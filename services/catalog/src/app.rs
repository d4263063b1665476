use std::sync::Arc;

use axum::extract::FromRef;
use shop_runtime::{auth::TokenVerifier, database::Database};

use crate::{listing::Listing, store::Products};

/// Shared by the endpoints. Cloning it costs one counter.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    products: Products,
    listing: Listing,
    database: Database,
    tokens: TokenVerifier,
}

impl App {
    pub(crate) fn new(
        products: Products,
        listing: Listing,
        database: Database,
        tokens: TokenVerifier,
    ) -> Self {
        Self(Arc::new(Shared { products, listing, database, tokens }))
    }

    pub(crate) fn products(&self) -> &Products {
        &self.0.products
    }

    pub(crate) fn listing(&self) -> &Listing {
        &self.0.listing
    }

    /// For the books.
    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.0.tokens.clone()
    }
}
