//! A service's API: its routes together with their OpenAPI description.

use axum::Router;
use utoipa::{
    Modify, PartialSchema as _, ToSchema as _,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use super::problem::ProblemBody;

pub use utoipa::openapi::OpenApi as ApiDoc;

/// The routes of a service, and their description where they are an API.
pub struct Routes {
    pub(super) router: Router,
    pub(super) api: Option<ApiDoc>,
}

impl From<Router> for Routes {
    /// Routes without a description: pages, or none at all.
    fn from(router: Router) -> Self {
        Self { router, api: None }
    }
}

impl From<OpenApiRouter> for Routes {
    fn from(routes: OpenApiRouter) -> Self {
        let (router, api) = routes.split_for_parts();
        Self { router, api: Some(api) }
    }
}

/// What the description of every API has: the schema of a problem, and `bearer`, the scheme of access tokens.
///
/// Use it as `#[openapi(modifiers(&CommonParts))]`.
pub struct CommonParts;

impl Modify for CommonParts {
    fn modify(&self, api: &mut ApiDoc) {
        let parts = api.components.get_or_insert_default();
        parts.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        parts.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}
