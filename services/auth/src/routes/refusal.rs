//! What is refused unseen, because there is too much of it: counted one by one, told in one line a period.

use http::{HeaderValue, StatusCode, header};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
};
use shop_runtime::{Periodically, http::Problem};

/// When to try again, in seconds: by then one more wrong password is forgiven, and any queue is short.
pub(super) const RETRY_AFTER: u32 = 30;

static REFUSED: Periodically = Periodically::line();

/// Why a login or a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Reason {
    /// Too many wrong passwords for the address.
    Attempts,
    /// Too many passwords are being hashed.
    Busy,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    reason: Reason,
}

/// How often what was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Family<Labels, Counter>);

impl Refusals {
    pub(crate) fn counters(&self) -> Family<Labels, Counter> {
        self.0.clone()
    }

    /// Counts one.
    pub(super) fn count(&self, reason: Reason) {
        self.0.get_or_create(&Labels { reason }).inc();
        if let Some(count) = REFUSED.due() {
            tracing::warn!(count, last = ?reason, "logins or registrations were refused unseen");
        }
    }
}

/// 429, whatever there is too much of. It is one answer for all reasons, because the difference would tell a stranger how an
/// address is doing.
pub(super) fn too_many_attempts() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Too many logins have been tried")
        .detail(format!("Try again in {RETRY_AFTER} seconds."))
        .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER))
}
