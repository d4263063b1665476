use axum::{extract::State, response::Response};
use bytes::Bytes;
use sea_orm::DbErr;
use shop_core::ProductId;
use shop_runtime::http::{Path, Problem, Problems};

use super::{
    conditional::{IfNoneMatch, KnownTag},
    refusal::NoSuchProduct,
};
use crate::{app::App, body::ProductBody, page::etag};

/// Returns a product
#[utoipa::path(
    get,
    path = "/products/{id}",
    tag = "products",
    params(("id" = i64, Path, description = "The product's id"), KnownTag),
    responses(
        (status = 200, description = "The product", body = ProductBody, headers(("ETag" = String, description = "For `If-None-Match`"))),
        (status = 304, description = "The product has not changed"),
        Problems<(DbErr, NoSuchProduct)>,
    )
)]
pub(super) async fn read_product(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let product = app.products().find(id).await?.ok_or(NoSuchProduct)?;
    let json = serde_json::to_vec(&ProductBody::from(product)).map_err(Problem::internal)?;
    Ok(known.respond("application/json", "no-cache", &etag(&json), &Bytes::from(json)))
}
