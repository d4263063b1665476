//! Requests refused without checking the password, because there are too many: each is counted, and one log line per period reports them.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
};
use shop_runtime::Periodically;

static REFUSED: Periodically = Periodically::line();

/// Why a login or a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Reason {
    /// Too many wrong passwords for the address.
    Attempts,
    /// Too many passwords are being hashed.
    Busy,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    reason: Reason,
}

/// How often requests were refused, by reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Family<Labels, Counter>);

impl Refusals {
    pub(crate) fn counters(&self) -> Family<Labels, Counter> {
        self.0.clone()
    }

    /// Counts one.
    pub(crate) fn count(&self, reason: Reason) {
        self.0.get_or_create(&Labels { reason }).inc();
        if let Some(count) = REFUSED.due() {
            tracing::warn!(count, last = ?reason, "logins or registrations were refused without checking the password");
        }
    }
}
