use std::borrow::Cow;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use sea_orm::DbErr;
use shop_core::ProductId;
use shop_runtime::http::{Path, Problem, Problems};

use super::{
    conditional::{IfNoneMatch, KnownTag},
    refusal::NoSuchProduct,
};
use crate::{app::App, domain::picture, page::etag};

/// Returns a product's picture
#[utoipa::path(
    get,
    path = "/products/{id}/picture.svg",
    tag = "products",
    params(("id" = i64, Path, description = "The product's id"), KnownTag),
    responses(
        (status = 200, description = "A drawing, 400 by 400", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The picture has not changed"),
        Problems<(DbErr, NoSuchProduct)>,
    )
)]
pub(super) async fn read_picture(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let product = app.products().find(id).await?.ok_or(NoSuchProduct)?;
    let svg = match picture(product.drawing.as_deref(), &product.category) {
        Cow::Borrowed(drawing) => Bytes::from_static(drawing.as_bytes()),
        Cow::Owned(neutral) => Bytes::from(neutral),
    };
    let mut response = known.respond(
        "image/svg+xml",
        "public, max-age=300, stale-while-revalidate=86400",
        &etag(&svg),
        &svg,
    );
    // An SVG opened on its own is a document of this origin; this one may do nothing.
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    Ok(response)
}
