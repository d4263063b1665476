//! The server's own refusals, whatever a request is for. If something is not an HTTP request at all, the HTTP library answers by
//! itself, with a bare status: that answer is replaced by a problem, like every other error.

use axum::{body::to_bytes, response::IntoResponse as _};
use futures_util::FutureExt as _;
use http::{HeaderValue, StatusCode, header};

use super::Problem;

/// The longest address with its query, in bytes. RFC 9110 asks for 8,000 at least.
pub(super) const LONGEST_URI: usize = 8 * 1024;

/// Whether `head` is an answer of the HTTP library itself, which has no content and closes the connection.
pub(super) fn is_automatic(head: &[u8]) -> bool {
    let Some(text) = head.strip_prefix(b"HTTP/1.1 4").and_then(|_| std::str::from_utf8(head).ok()) else {
        return false;
    };
    let ends_once = text.find("\r\n\r\n") == text.len().checked_sub(4);
    ends_once
        && text.contains("\r\ncontent-length: 0\r\n")
        && text.contains("\r\nconnection: close\r\n")
        && !text.contains("\r\ncontent-type:")
}

/// What is sent instead of the automatic `head`, to a request whose first line has `first_line` bytes.
pub(super) fn instead_of(head: &[u8], first_line: usize) -> Vec<u8> {
    let status = head.get(9..12).and_then(|status| StatusCode::from_bytes(status).ok());
    whole(match status {
        Some(StatusCode::URI_TOO_LONG) => uri_too_long(),
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) if first_line > LONGEST_URI => uri_too_long(),
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => head_too_large(),
        _ => Problem::bad_request("This is not an HTTP/1.1 request."),
    })
}

/// 414.
pub(super) fn uri_too_long() -> Problem {
    Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", "The address is too long")
}

/// 431.
pub(super) fn head_too_large() -> Problem {
    Problem::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "head-too-large",
        "The request has too many headers, or too large ones",
    )
}

/// 503: more requests at once than [`super::Limits`] allows.
pub(super) fn too_many_requests() -> Problem {
    Problem::unavailable("Too many requests at once.", 1)
}

/// 504: the request took longer than [`super::Limits`] allows.
pub(super) fn too_late() -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The request took too long")
}

/// 408: the head or the body does not end.
pub(super) fn request_timeout() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time")
        .header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// The answer to a head that does not end.
pub(super) fn to_a_slow_head() -> Vec<u8> {
    whole(request_timeout())
}

/// `problem` as a complete HTTP/1.1 response, the last on its connection.
fn whole(problem: Problem) -> Vec<u8> {
    let (mut head, body) = problem.into_response().into_parts();
    // A problem's body is complete, so this does not wait.
    let body = to_bytes(body, usize::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut answer = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend(b"\r\n");
    answer.extend(body);
    answer
}
