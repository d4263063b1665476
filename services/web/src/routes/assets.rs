use axum::{
    http::header,
    response::{IntoResponse as _, Response},
};
use shop_runtime::http::{Path, Problem};

use crate::assets;

/// `GET /static/{file}`
pub(super) async fn asset(Path(file): Path<String>) -> Result<Response, Problem> {
    let asset = assets::find(&file).ok_or_else(|| Problem::not_found("No such file."))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.content).into_response())
}

/// `GET /robots.txt`
pub(super) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /cart\nDisallow: /orders\nDisallow: /login\nDisallow: /register\n"
}
