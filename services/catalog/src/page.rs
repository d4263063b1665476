use axum::http::HeaderValue;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sea_orm::DbErr;
use sha2::{Digest as _, Sha256};

use crate::{
    body::ProductBody,
    domain::{Cursor, Product},
};

/// A page of products, ready to be sent: the JSON's bytes with their headers, so that a cache hit costs no work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    json: Bytes,
    next: Option<String>,
    etag: HeaderValue,
    link: Option<HeaderValue>,
}

impl Page {
    /// A page of `json`; `next` is the path and query of the next page.
    pub fn new(json: Bytes, next: Option<String>) -> Self {
        let link =
            next.as_ref().and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
        Self { etag: etag(&json), json, next, link }
    }

    /// A page of the first `limit` of `found`; if there are more, `next` returns the path and query of the next page.
    pub(crate) fn of(
        mut found: Vec<Product>,
        limit: u64,
        next: impl FnOnce(Cursor) -> String,
    ) -> Result<Self, DbErr> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| has_more).map(|product| Cursor(product.id));
        let bodies: Vec<ProductBody> = found.into_iter().map(ProductBody::from).collect();
        let json = serde_json::to_vec(&bodies).map_err(|error| DbErr::Json(error.to_string()))?;
        Ok(Self::new(Bytes::from(json), last.map(next)))
    }

    /// The body: a JSON array.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The path and query of the next page.
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    pub(crate) fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// RFC 8288.
    pub(crate) fn link(&self) -> Option<&HeaderValue> {
        self.link.as_ref()
    }
}

/// A strong entity tag of `body`: the first half of its SHA-256.
pub(crate) fn etag(body: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(body);
    HeaderValue::try_from(format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..16])))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}
