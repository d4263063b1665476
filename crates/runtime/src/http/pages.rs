//! The routes that every service has: health, metrics, the OpenAPI document and the page to try it.

use axum::{
    Json, Router, middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::Problem;
use crate::{health::Health, metrics::Metrics};

/// The specification's health check, which is always part of the API.
pub(super) fn health(service: &'static str) -> Router {
    Router::new().route("/health", get(move || async move { alive(service) }))
}

/// What the platform asks: liveness, readiness and metrics.
pub(super) fn probes(health: Health, metrics: Metrics) -> Router {
    let service = health.service();
    Router::new()
        .route("/livez", get(move || async move { alive(service) }))
        .route("/readyz", get(move || readyz(health.clone())))
        .route("/metrics", get(move || async move { encoded(&metrics) }))
}

fn alive(service: &'static str) -> Json<Alive> {
    Json(Alive { status: "ok", service })
}

/// The response of `/health`, its members in the specification's order.
#[derive(Serialize)]
struct Alive {
    status: &'static str,
    service: &'static str,
}

async fn readyz(health: Health) -> impl IntoResponse {
    let readiness = health.readiness().await;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

fn encoded(metrics: &Metrics) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.encode())
}

pub(super) fn documentation(api: OpenApi) -> Router {
    let pages: Router = SwaggerUi::new("/docs").url("/openapi.json", api).into();
    pages.route_layer(middleware::map_response(no_such_page))
}

/// The page handles every path below it, and its own 404 is empty.
async fn no_such_page(response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        Problem::not_found("No such path.").into_response()
    } else {
        response
    }
}
