//! The HTTP API of orders.

mod cancel;
mod client;
mod deliver;
mod events;
mod find;
mod idempotency_key;
mod language;
mod list;
mod moved;
mod one;
mod place;
mod prefer;
mod refusal;
mod representation;
mod settled;
mod ship;
mod viewer;

use axum::{middleware, response::Response};
use http::{HeaderValue, header};
use shop_runtime::http::CommonParts;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "order_service",
        description = "Places, lists, cancels and ships orders, and tells what happens to them. With an access token the customer is the token's; without one, \
                       where guest checkout is on, a guest orders, and gets an order token for this one order."
    ),
    modifiers(&CommonParts)
)]
struct Description;

/// The routes and their description.
pub(crate) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(place::place, list::list))
        .routes(routes!(find::find))
        .routes(routes!(events::events))
        .routes(routes!(cancel::cancel))
        .routes(routes!(ship::ship))
        .routes(routes!(deliver::deliver))
        // Orders are private to their customers, and the first response to a guest contains a secret.
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
            [
                "get /orders",
                "post /orders",
                "get /orders/{id}",
                "post /orders/{id}/cancel",
                "post /orders/{id}/deliver",
                "get /orders/{id}/events",
                "post /orders/{id}/ship",
            ]
        );
        assert_eq!(api["openapi"], "3.1.0");
        assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        let schemas = &api["components"]["schemas"];
        for schema in [
            "Order",
            "OrderLife",
            "OrderEvent",
            "TimelineEntry",
            "Cancellation",
            "Shipment",
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
