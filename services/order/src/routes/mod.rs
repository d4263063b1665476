//! The HTTP API of orders.

mod cancel;
mod client;
mod cursor;
mod find;
mod idempotency_key;
mod list;
mod place;
mod refusal;
mod representation;
mod viewer;

use std::sync::Arc;

use axum::{Router, extract::FromRef, middleware, response::Response};
use http::{HeaderValue, header};
use shop_core::Clock;
use shop_runtime::{
    auth::TokenVerifier,
    http::{ApiDoc, ProblemBody},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    domain::{Catalog, GuestRate},
    metrics::Metrics,
    store::Store,
};

/// What the handlers use.
#[derive(Clone)]
pub(crate) struct App {
    /// The orders.
    pub store: Store,
    /// The products.
    pub catalog: Arc<dyn Catalog>,
    /// Who is who.
    pub tokens: TokenVerifier,
    /// Whether there are guests.
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

#[derive(OpenApi)]
#[openapi(
    info(
        title = "order_service",
        description = "Places, lists and cancels orders. With an access token the customer is the token's; without one, \
                       where guest checkout is on, a guest orders, and gets an order token for this one order."
    ),
    components(schemas(ProblemBody)),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut ApiDoc) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(place::place, list::list))
        .routes(routes!(find::find))
        .routes(routes!(cancel::cancel))
}

/// The routes, over `app`.
pub(crate) fn router(app: App) -> Router {
    let routes: Router = described().with_state(app).into();
    // Orders are their customers' own, and a guest's first answer holds a secret.
    routes.layer(middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }))
}

/// The API's OpenAPI 3.1 description.
pub fn api() -> ApiDoc {
    described().into_openapi()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described() {
        let api = serde_json::to_value(api()).unwrap();
        let described: Vec<String> = api["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        assert_eq!(
            described,
            ["get /orders", "post /orders", "get /orders/{id}", "post /orders/{id}/cancel"]
        );
        assert_eq!(api["openapi"], "3.1.0");
        assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        let schemas = &api["components"]["schemas"];
        for schema in [
            "Order",
            "PlacedOrder",
            "ListedOrder",
            "Item",
            "NewOrder",
            "NewItem",
            "Problem",
            "OrderId",
            "OrderStatus",
            "Money",
        ] {
            assert!(schemas[schema].is_object(), "{schema}");
        }
    }
}
