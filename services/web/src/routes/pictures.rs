//! The catalog's pictures, served from our own origin: pages may show no others.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use shop_client::Failure;
use shop_core::ProductId;
use shop_runtime::http::{Path, Problem};

use crate::{app::App, failure, picture::Picture};

/// An SVG that is opened by itself is a document: it may style itself and nothing else.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// `GET /pictures/{id}.svg`
pub(super) async fn picture(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let no_such = || Problem::not_found("No such picture.");
    let id: ProductId = file.strip_suffix(".svg").and_then(|id| id.parse().ok()).ok_or_else(no_such)?;
    let picture =
        kept_or_fetched(&app, id).await.map_err(|failure| failure::problem(&failure))?.ok_or_else(no_such)?;
    let caching = [
        (header::CACHE_CONTROL, "public, max-age=600, stale-while-revalidate=86400".to_owned()),
        (header::ETAG, picture.etag.clone()),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| {
        known.split(',').any(|etag| etag.trim().trim_start_matches("W/") == picture.etag)
    }) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY)];
    Ok((caching, kind, picture.svg).into_response())
}

async fn kept_or_fetched(app: &App, id: ProductId) -> Result<Option<Picture>, Failure> {
    if let Some(picture) = app.pictures.get(&id.0).await {
        return Ok(Some(picture));
    }
    let Some(svg) = app.catalog.picture(id).await? else { return Ok(None) };
    let picture = Picture::new(svg);
    app.pictures.insert(id.0, picture.clone()).await;
    Ok(Some(picture))
}
