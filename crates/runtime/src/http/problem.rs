use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use sea_orm::{DbErr, RuntimeErr};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::telemetry;

/// Where the `type` of a problem is documented.
const TYPES: &str = "https://shop.dev/problems/";

/// An error as the client is told of it: RFC 9457 problem details. What the operator is told goes to the log.
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

/// The body of a problem, as OpenAPI documents it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// What kind of problem: a stable address, the key for programs.
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

    /// 401, with the challenge that RFC 6750 asks for.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed")
            .detail(detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: known, and not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not allowed").detail(detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here").detail(detail)
    }

    /// 422: well-formed, and a value in it cannot be accepted; `pointer` (RFC 6901) names it.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = serde_json::json!({ "pointer": pointer.into(), "detail": detail });
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-value", "A value cannot be accepted")
            .detail(detail)
            .with("errors", Value::Array(vec![error]))
    }

    /// 503: something that is needed is away; the client may try again after `retry_after` seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Please try again in a moment")
            .detail(detail)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after))
    }

    /// 500: the client learns nothing, the log everything.
    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        tracing::error!(error = format!("{:#}", error.into()), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
    }

    /// What was wrong with this very request.
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

    /// The status it is answered with.
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

    /// The names of the headers that it brings.
    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, _)| name)
    }

    /// The body, of no request yet.
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
        response
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(error)
    }
}

impl From<DbErr> for Problem {
    /// A database that cannot be reached is a 503, anything else that the code did not foresee a 500.
    fn from(error: DbErr) -> Self {
        if is_away(&error) {
            tracing::warn!(error = %error, "the database is away");
            return Self::unavailable("The database cannot be reached.", 2);
        }
        Self::internal(error)
    }
}

/// Whether the database could not be asked at all, or went away while it was.
fn is_away(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                sqlx::Error::Database(error) => error.code().is_some_and(|code| is_absence(&code)),
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                _ => false,
            }
        }
        _ => false,
    }
}

/// PostgreSQL's connection exceptions, shutdowns and lack of resources: classes 08, 57P and 53 of its error codes.
/// SQLite's codes are shorter numbers.
fn is_absence(code: &str) -> bool {
    code.len() == 5 && ["08", "57P", "53"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_database_that_goes_away_is_no_fault_of_the_code() {
        let broken = || sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()).into();
        assert_eq!(Problem::from(DbErr::Query(RuntimeErr::SqlxError(broken()))).status(), 503);
        assert_eq!(Problem::from(DbErr::Conn(RuntimeErr::SqlxError(broken()))).status(), 503);
        assert_eq!(Problem::from(DbErr::Custom("a bug".to_owned())).status(), 500);
        // admin_shutdown, too_many_connections; syntax_error; SQLite's IOERR_SHMLOCK
        assert!(is_absence("57P01") && is_absence("53300"));
        assert!(!is_absence("42601") && !is_absence("5386"));
    }
}
