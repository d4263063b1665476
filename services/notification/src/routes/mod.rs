//! The HTTP API, and the pages on which mails can be read.

mod links;
mod list;
mod mailbox;
mod proof;

use axum::{Router, middleware, response::Response, routing::get};
use http::{HeaderValue, header};
use shop_runtime::http::{CommonParts, Routes};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "notification_service",
        description = "Lists what customers were told about their orders, and links their Telegram chats."
    ),
    modifiers(&CommonParts)
)]
struct Description;

/// The API and its description.
pub(crate) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(list::list))
        .routes(routes!(links::link))
        .routes(routes!(links::unlink))
}

/// Everything: the API, and the pages where they are asked for.
pub(crate) fn all(app: App) -> Routes {
    let pages = match &app.mailbox {
        Some(_) => Router::new()
            .route("/mailbox", get(mailbox::list))
            .route("/mailbox/{name}", get(mailbox::mail))
            .route("/mailbox/{name}/html", get(mailbox::html)),
        None => Router::new(),
    };
    // Addresses and orders are private.
    let routes = described().merge(OpenApiRouter::from(pages));
    let routes = routes.layer(middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }));
    routes.with_state(app).into()
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
            ["get /notifications", "put /telegram-links", "delete /telegram-links/{chat_id}"]
        );
        assert_eq!(api["openapi"], "3.1.0");
        for schema in ["Notification", "Channel", "State", "TelegramLink", "OrderId", "Problem"] {
            assert!(api["components"]["schemas"][schema].is_object(), "{schema}");
        }
    }
}
