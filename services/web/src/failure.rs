//! The page that a visitor sees after a failed call, when the handler has no better words.

use axum::http::{StatusCode, header};
use shop_client::Failure;
use shop_runtime::{Periodically, http::Problem};

/// In seconds; for services that do not say when they may be asked again.
const RETRY_AFTER: u32 = 5;

/// After how many seconds a request may be made again.
pub(crate) fn retry_after(said: Option<u32>) -> u32 {
    said.unwrap_or(RETRY_AFTER)
}

/// The problem for `failure`.
pub(crate) fn problem(failure: &Failure) -> Problem {
    match failure {
        Failure::Unavailable { retry_after: said, .. } => {
            static UNAVAILABLE: Periodically = Periodically::line();
            if let Some(count) = UNAVAILABLE.due() {
                tracing::warn!(error = %failure, count, "a service is unavailable");
            }
            Problem::unavailable("A part of the shop is away.", retry_after(*said))
        }
        Failure::Unauthorized(_) => Problem::unauthorized("The login has ended."),
        Failure::Refused(refusal) => match refusal.status {
            StatusCode::TOO_MANY_REQUESTS => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
                    .header(header::RETRY_AFTER, retry_after(refusal.retry_after).into())
            }
            StatusCode::NOT_FOUND => Problem::not_found("No such thing."),
            StatusCode::FORBIDDEN => strange(failure),
            _ => Problem::bad_request("The request was refused."),
        },
        Failure::Unreadable { .. } => strange(failure),
    }
}

/// For what should not happen between the services of one shop.
fn strange(failure: &Failure) -> Problem {
    tracing::error!(error = %failure, "a call failed");
    Problem::new(StatusCode::BAD_GATEWAY, "bad-gateway", "A part of the shop answered strangely")
}
