//! The endpoints. Each module is one, with its request, response, errors and tests.

mod client;
mod jwks;
mod refusal;
mod register;
mod token;
mod token_response;
mod verify;

use shop_runtime::http::CommonParts;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

#[derive(OpenApi)]
#[openapi(modifiers(&CommonParts))]
struct Description;

/// The routes and their description.
pub(crate) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(register::handle))
        .routes(routes!(token::handle))
        .routes(routes!(verify::handle))
        .routes(routes!(jwks::handle))
}
