//! The HTTP API of payments: for administrators, and for the provider's webhooks.

mod charges;
mod page;
mod payments;
mod switches;
mod webhook;

use axum::{middleware, response::Response};
use http::{HeaderValue, header};
use shop_runtime::http::CommonParts;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "payment_service",
        description = "Charges orders when their stock is reserved, and gives charges back when they are cancelled. It is told \
                       so by events; this API is for administrators, and for the webhooks of the payment provider."
    ),
    modifiers(&CommonParts)
)]
struct Description;

/// The routes and their description.
pub(crate) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(payments::payments))
        .routes(routes!(charges::charges))
        .routes(routes!(switches::switch))
        .routes(routes!(webhook::simulated))
        .routes(routes!(webhook::stripe))
        // Customers' addresses are nobody else's business.
        .layer(middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described() {
        let api = serde_json::to_value(described().into_openapi()).unwrap();
        let paths = api["paths"].as_object().unwrap().iter();
        let described: Vec<String> = paths
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        assert_eq!(
            described,
            [
                "get /payments",
                "get /simulated/charges",
                "put /simulated/switches/{name}",
                "post /webhooks/simulated",
                "post /webhooks/stripe"
            ]
        );
        let schemas = &api["components"]["schemas"];
        for schema in
            ["Payment", "PaymentState", "SimulatedCharge", "Problem", "OrderId", "PaymentId", "Money"]
        {
            assert!(schemas[schema].is_object(), "{schema}");
        }
    }
}
