use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shop_core::{Money, ProductId};
use thiserror::Error;

/// Why a call failed, by what the caller can do about it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The service cannot be reached, takes too long, or has a problem of its own (a status of 500 or above): the call can be repeated
    /// later.
    #[error("{service} is unavailable: {reason}")]
    Unavailable {
        /// The service's name.
        service: &'static str,
        /// For the log; without the address that was called, which may contain an id.
        reason: String,
        /// After how many seconds to retry, if the service says so.
        retry_after: Option<u32>,
        /// Whether it may have carried out the call anyway.
        perhaps_done: bool,
    },
    /// It does not accept the access token, or no longer.
    #[error("{0} does not accept the token")]
    Unauthorized(&'static str),
    /// It understood the request and refuses it.
    #[error(transparent)]
    Refused(Refusal),
    /// Its response does not follow its contract. It may have carried out the call.
    #[error("the response of {service} cannot be read: {reason}")]
    Unreadable {
        /// The service's name.
        service: &'static str,
        /// For the log; without any content of the response, which may contain a token.
        reason: String,
    },
}

/// A refused request (a status from 400 to 499), as described by the problem (RFC 9457) in the response; empty if the response is
/// not a problem.
#[derive(Debug, Error)]
#[error("{service} refused the request: {status} {slug}")]
pub struct Refusal {
    /// The service that refused.
    pub service: &'static str,
    /// The response's status.
    pub status: StatusCode,
    /// The end of the problem's `type`, such as `price-changed`: see docs/problems.md.
    pub slug: String,
    /// What was wrong with this request, in English.
    pub detail: Option<String>,
    /// After how many seconds to retry, if the service says so.
    pub retry_after: Option<u32>,
    problem: Value,
}

impl Failure {
    /// Converts a response without a success status.
    pub(crate) fn of_answer(
        service: &'static str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        if status.is_server_error() {
            // A service answers 503 if it has not begun.
            let perhaps_done = status != StatusCode::SERVICE_UNAVAILABLE;
            let reason = format!("it answered {status}");
            return Self::Unavailable { service, reason, retry_after: retry_after(headers), perhaps_done };
        }
        if !status.is_client_error() {
            return Self::Unreadable { service, reason: format!("it answered {status}") };
        }
        let refusal = Refusal::read(service, status, headers, body);
        // A 401 may also be about an address and a password, and not about the token.
        if status == StatusCode::UNAUTHORIZED && refusal.slug != "bad-credentials" {
            return Self::Unauthorized(service);
        }
        Self::Refused(refusal)
    }

    /// Whether the service may have carried out the call.
    pub fn perhaps_done(&self) -> bool {
        match self {
            Self::Unavailable { perhaps_done, .. } => *perhaps_done,
            Self::Unreadable { .. } => true,
            Self::Unauthorized(_) | Self::Refused(_) => false,
        }
    }

    /// Whether it is a refusal of the kind `slug`.
    pub fn is_refused_as(&self, slug: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.slug == slug)
    }

    /// Whether it is a refusal with this status.
    pub fn is_refused_with(&self, status: StatusCode) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == status)
    }
}

impl Refusal {
    fn read(service: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let slug = problem["type"].as_str().and_then(|kind| kind.rsplit('/').next()).unwrap_or_default();
        Self {
            service,
            status,
            slug: slug.to_owned(),
            detail: problem["detail"].as_str().map(ToOwned::to_owned),
            retry_after: retry_after(headers),
            problem,
        }
    }

    /// The product that it is about.
    pub fn product_id(&self) -> Option<ProductId> {
        self.member("product_id")
    }

    /// The product's current price (`price-changed`).
    pub fn current_price(&self) -> Option<Money> {
        self.member("current_price")
    }

    /// How many of the product are in stock (`out-of-stock`).
    pub fn available(&self) -> Option<u32> {
        self.member("available")
    }

    /// Whether it is about the value at `pointer` (RFC 6901) of the request.
    pub fn is_about(&self, pointer: &str) -> bool {
        let errors = self.problem["errors"].as_array();
        errors.is_some_and(|errors| errors.iter().any(|error| error["pointer"] == pointer))
    }

    fn member<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.problem.get(name)?.clone()).ok()
    }
}

/// Seconds; `None` also for a date, which no service of the shop sends.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
