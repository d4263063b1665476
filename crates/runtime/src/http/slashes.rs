//! `/orders/` is `/orders`: a client that adds the slash is redirected to the address without it, keeping method and body.

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    middleware,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, Uri, header};
use tower::ServiceExt as _;

use super::Problem;

/// Knows which paths exist.
#[derive(Clone)]
pub(super) struct Paths(Router);

impl Paths {
    /// The paths of `router`. Its handlers are never called.
    pub(super) fn of(router: &Router) -> Self {
        Self(router.clone().layer(middleware::from_fn(|request: Request, _| async move {
            let is_known = request.extensions().get::<MatchedPath>().is_some();
            if is_known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }.into_response()
        })))
    }

    /// The answer to what matches none of them.
    pub(super) async fn answer_unknown(self, uri: &Uri) -> Response {
        match canonical(uri) {
            Some((path, location)) if self.has(path).await => {
                (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
            }
            _ => Problem::not_found("No such path.").into_response(),
        }
    }

    async fn has(self, path: &str) -> bool {
        let Ok(request) = Request::builder().uri(path).body(Body::empty()) else { return false };
        let Ok(response) = self.0.oneshot(request).await;
        response.status() == StatusCode::NO_CONTENT
    }
}

/// The path of `uri` without slashes at its end, and the whole address with it.
fn canonical(uri: &Uri) -> Option<(&str, HeaderValue)> {
    let path = uri.path().strip_suffix('/')?.trim_end_matches('/');
    // `//evil.example` would be another host, and browsers read a backslash as a slash.
    if !path.starts_with('/') || path[1..].starts_with(['/', '\\']) || path.len() < 2 {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some((path, HeaderValue::try_from(format!("{path}{query}")).ok()?))
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};

    use super::*;

    async fn never() {
        panic!("a handler was called")
    }

    #[tokio::test]
    async fn only_a_path_that_there_is_is_redirected_to() {
        let router = Router::new()
            .route("/", get(never))
            .route("/orders", post(never))
            .route("/orders/{id}", get(never))
            .route("/files/{*path}", get(never));
        let paths = Paths::of(&router);
        for (uri, location) in [
            ("/orders/", Some("/orders")),
            ("/orders///", Some("/orders")),
            ("/orders/?limit=1&x=/", Some("/orders?limit=1&x=/")),
            ("/orders/7/", Some("/orders/7")),
            ("/orders/%2F%2Fevil.example/?a=%20", Some("/orders/%2F%2Fevil.example?a=%20")),
            ("http://shop.example/orders/", Some("/orders")),
            ("/orders/7/8/", None),
            ("/nothing/", None),
            ("/", None),
            ("//", None),
            ("//evil.example/", None),
            ("//evil.example//orders/", None),
            ("/\\evil.example/", None),
            ("//orders/", None),
        ] {
            let answer = paths.clone().answer_unknown(&uri.parse().unwrap()).await;
            let status = if location.is_some() { 308 } else { 404 };
            assert_eq!(answer.status(), status, "{uri}");
            assert_eq!(answer.headers().get("location").map(|to| to.to_str().unwrap()), location, "{uri}");
        }
    }
}
