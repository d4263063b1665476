//! The catalog's pictures, from our own origin: the pages allow pictures from nowhere else.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use shop_core::ProductId;
use shop_runtime::http::{Path, Problem};

use crate::{clients::Failure, state::AppState};

/// A picture that is kept in memory.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    svg: Bytes,
    etag: String,
}

impl Picture {
    fn new(svg: Vec<u8>) -> Self {
        let hash: String = Sha256::digest(&svg)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { svg: svg.into(), etag: format!("\"{hash}\"") }
    }

    /// What it takes of the cache, in bytes.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.svg.len()).unwrap_or(u32::MAX)
    }
}

/// Opened by itself, an SVG is a document: it may style itself and do nothing else.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// `GET /pictures/{id}.svg`
pub(super) async fn picture(
    State(state): State<AppState>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let no_such = || Problem::not_found("No such picture.");
    let id: ProductId = file.strip_suffix(".svg").and_then(|id| id.parse().ok()).ok_or_else(no_such)?;
    let picture = kept_or_fetched(&state, id).await.map_err(Failure::into_problem)?.ok_or_else(no_such)?;
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

async fn kept_or_fetched(state: &AppState, id: ProductId) -> Result<Option<Picture>, Failure> {
    if let Some(picture) = state.pictures.get(&id.0).await {
        return Ok(Some(picture));
    }
    let Some(svg) = state.catalog.picture(id).await? else { return Ok(None) };
    let picture = Picture::new(svg);
    state.pictures.insert(id.0, picture.clone()).await;
    Ok(Some(picture))
}
