//! Conditional requests (RFC 9110, section 13).

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use bytes::Bytes;

/// The entity tags that the client has. Not all headers: as an argument of a handler, `HeaderMap` copies every one of them.
#[derive(Debug)]
pub(super) struct IfNoneMatch(Vec<HeaderValue>);

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect()))
    }
}

/// The header, for the API's description.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what IfNoneMatch reads")]
pub(super) struct KnownTag {
    /// The `ETag` of the response that you have.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

impl IfNoneMatch {
    /// Uses the weak comparison that the RFC requires here: gateways that compress make tags weak.
    fn names(&self, etag: &HeaderValue) -> bool {
        self.0.iter().any(|header| {
            header == etag
                || header.to_str().is_ok_and(|tags| {
                    tags.split(',').map(str::trim).any(|tag| {
                        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
                    })
                })
        })
    }

    /// Responds with `body` and its headers, or with 304 to a client that already has it.
    pub(super) fn respond(
        &self,
        content_type: &'static str,
        cache_control: &'static str,
        etag: &HeaderValue,
        body: &Bytes,
    ) -> Response {
        let is_known = self.names(etag);
        let mut response = Response::new(if is_known { Body::empty() } else { Body::from(body.clone()) });
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::ETAG, etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_known_tag_matches() {
        let etag = HeaderValue::from_static("\"abc\"");
        for (sent, expected) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"abcd\"", false),
            ("abc", false),
            ("", false),
        ] {
            let sent = IfNoneMatch(vec![HeaderValue::from_static(sent)]);
            assert_eq!(sent.names(&etag), expected, "{sent:?}");
        }
        assert!(!IfNoneMatch(Vec::new()).names(&etag));
    }
}
