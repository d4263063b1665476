//! Style, script and icon: compiled in, and named by their content, so that browsers keep them for good.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use shop_runtime::http::{Path, Problem};

/// A file that pages refer to.
pub(crate) struct Asset {
    /// Where it is: `/static/shop.0123456789abcdef.css`.
    pub(crate) url: String,
    content_type: &'static str,
    content: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static [u8]) -> Self {
        let hash: String = Sha256::digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { url: format!("/static/{stem}.{hash}.{extension}"), content_type, content }
    }
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("shop", "css", "text/css; charset=utf-8", include_bytes!("../../assets/shop.css"))
});

pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("shop", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/shop.js"))
});

pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")));

/// `GET /static/{file}`
pub(super) async fn asset(Path(file): Path<String>) -> Result<Response, Problem> {
    let asset = [&STYLE, &SCRIPT, &ICON]
        .into_iter()
        .find(|asset| asset.url.strip_prefix("/static/") == Some(file.as_str()))
        .ok_or_else(|| Problem::not_found("No such file."))?;
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
