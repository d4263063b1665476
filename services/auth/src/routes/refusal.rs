//! The problems with which registrations and logins are refused.

use http::{HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use shop_core::InvalidEmail;
use shop_runtime::http::{Documented, Json, Problem};

use crate::{
    domain::PasswordError,
    refusals::{Reason, Refusals},
};

/// When to try again, in seconds: by then one more wrong password is forgiven, and any queue is short.
const RETRY_AFTER: u32 = 30;

/// 429, whichever limit was reached. The response is the same for all reasons, because a difference would tell a stranger about the state of an
/// address.
pub(super) struct TooManyAttempts;

impl From<TooManyAttempts> for Problem {
    fn from(TooManyAttempts: TooManyAttempts) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Too many login attempts")
            .detail(format!("Try again in {RETRY_AFTER} seconds."))
            .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER))
    }
}

impl Documented for TooManyAttempts {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}

/// The response to a client whose password was not hashed.
pub(super) fn not_hashed(error: PasswordError, refusals: &Refusals) -> Problem {
    match error {
        PasswordError::Busy => {
            refusals.count(Reason::Busy);
            TooManyAttempts.into()
        }
        error => Problem::internal(error),
    }
}

/// The problems of a body with an e-mail address.
pub(super) fn examples_of_a_body<T: DeserializeOwned>() -> Vec<Problem> {
    let mut examples = Json::<T>::examples();
    examples.push(Problem::invalid("/email", InvalidEmail.to_string()));
    examples
}
