use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{Periodically, database::Failure, telemetry};

/// Where the `type` of a problem is documented.
const TYPES: &str = "https://shop.dev/problems/";

/// An error as the client sees it: RFC 9457 problem details. What the operator needs to know goes to the log.
///
/// `type` ends in `slug`, which is stable; `title` belongs to the type; `detail` is about this one request.
#[derive(Debug)]
#[must_use]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: Option<String>,
    extensions: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The kind of problem in a response, for the metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(pub(super) &'static str);

/// The body of a problem, as OpenAPI documents it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// The kind of problem, as a stable address for programs.
    #[schema(format = "uri")]
    r#type: String,
    /// The kind of problem, for people.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong with this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The request's trace, to find it in Jaeger and in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extensions: Map<String, Value>,
}

impl Problem {
    /// A problem of the stable kind `slug`.
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self { status, slug, title, detail: None, extensions: Map::new(), headers: Vec::new() }
    }

    /// 400: the request itself is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", "The request is malformed").detail(detail)
    }

    /// 401, with the challenge that RFC 6750 requires.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed")
            .detail(detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the caller is known, but not allowed to do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not allowed").detail(detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing at this address").detail(detail)
    }

    /// 422: well-formed, and a value in it cannot be accepted; `pointer` (RFC 6901) names it.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = serde_json::json!({ "pointer": pointer.into(), "detail": detail });
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-value", "A value cannot be accepted")
            .detail(detail)
            .with("errors", Value::Array(vec![error]))
    }

    /// 503: something that is needed is unavailable; the client may try again after `retry_after` seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Please try again in a moment")
            .detail(detail)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// 500: the client learns nothing about `error`; the log does.
    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        tracing::error!(error = format!("{:#}", error.into()), "a request failed");
        Self::fault()
    }

    /// 500, as the client sees it.
    pub(super) fn fault() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
    }

    /// What was wrong with this one request.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds an extension member (RFC 9457, section 3.2).
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the response.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable end of its `type`.
    pub(super) fn slug(&self) -> &'static str {
        self.slug
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// The names of its headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, _)| name)
    }

    /// The body, not yet of any request.
    pub(super) fn body(&self) -> ProblemBody {
        ProblemBody {
            r#type: format!("{TYPES}{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            trace_id: None,
            extensions: self.extensions.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody { trace_id: telemetry::trace_id(), ..self.body() };
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, content_type, axum::Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response.extensions_mut().insert(Kind(self.slug));
        response
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(error)
    }
}

impl From<DbErr> for Problem {
    /// What the database cannot do now can be tried again later; what the code did not foresee is a 500.
    fn from(error: DbErr) -> Self {
        match Self::of_database(Failure::of(&error)) {
            Some(problem) => {
                static UNDONE: Periodically = Periodically::line();
                if let Some(count) = UNDONE.due() {
                    tracing::warn!(%error, count, "the database could not carry out a request");
                }
                problem
            }
            None => Self::internal(error),
        }
    }
}

impl Problem {
    /// The problem that the client gets for `failure`; `None` if it is a fault of ours.
    pub(super) fn of_database(failure: Failure) -> Option<Self> {
        let later = |slug, title, detail: &str, retry_after: u32| {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, slug, title)
                .detail(detail)
                .header(header::RETRY_AFTER, HeaderValue::from(retry_after))
        };
        Some(match failure {
            Failure::Fault => return None,
            Failure::Away => Self::unavailable("The database cannot be reached.", 2),
            Failure::ReadOnly => Self::unavailable("The database accepts no writes at the moment.", 2),
            Failure::Vanished | Failure::Shared => Self::unavailable("The database is not set up.", 5),
            Failure::Full => {
                let detail = "The database's disk is full, so nothing was stored.";
                later("storage-full", "There is no space to store this", detail, 30)
            }
            Failure::Contention | Failure::TooSlow => {
                let detail = "The database was too busy to do this in time, so nothing was stored.";
                later("busy", "Other requests are changing the same data", detail, 1)
            }
            Failure::Overloaded => {
                let detail = "The service has more requests than it can handle at once.";
                later("overloaded", "The service is overloaded", detail, 1)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnAcquireErr, RuntimeErr};

    use super::*;

    #[test]
    fn what_a_database_cannot_do_now_is_to_be_tried_again_and_a_bug_is_not() {
        let overloaded = Problem::from(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
        assert_eq!((overloaded.status().as_u16(), overloaded.slug), (503, "overloaded"));
        assert!(overloaded.headers.iter().any(|(name, _)| name == header::RETRY_AFTER));
        let away = Problem::from(DbErr::Conn(RuntimeErr::Internal("refused".to_owned())));
        assert_eq!((away.status().as_u16(), away.slug), (503, "unavailable"));
        assert_eq!(Problem::from(DbErr::Custom("a bug".to_owned())).status(), 500);
    }
}
