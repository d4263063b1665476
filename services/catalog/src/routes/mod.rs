//! The endpoints.

mod conditional;
mod list;
mod picture;
mod read;
mod write;

use std::sync::Arc;

use axum::{Router, extract::FromRef};
use shop_runtime::{
    auth::TokenVerifier,
    http::{ApiDoc, ProblemBody},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{listing::Listing, store::Products};

/// What the endpoints share. Cloning it is one counter.
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

    fn products(&self) -> &Products {
        &self.0.products
    }

    fn listing(&self) -> &Listing {
        &self.0.listing
    }
}

impl FromRef<App> for TokenVerifier {
    fn from_ref(app: &App) -> Self {
        app.0.tokens.clone()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "catalog", description = "Products and stock."),
    components(schemas(ProblemBody)),
    tags((name = "products", description = "What the shop sells")),
    modifiers(&BearerToken)
)]
struct Documentation;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, api: &mut ApiDoc) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        api.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The OpenAPI description of this service.
pub fn api() -> ApiDoc {
    documented().into_openapi()
}

pub(crate) fn router(app: App) -> (Router, ApiDoc) {
    let (router, api) = documented().split_for_parts();
    (router.with_state(app), api)
}

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Documentation::openapi())
        .routes(routes!(list::list_products, write::create_product))
        .routes(routes!(read::read_product, write::replace_product, write::delete_product))
        .routes(routes!(picture::read_picture))
}
