//! What registrations and logins are refused with.

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

/// 429, whatever there is too much of. It is one answer for all reasons, because the difference would tell a stranger how an
/// address is doing.
pub(super) struct TooManyAttempts;

impl From<TooManyAttempts> for Problem {
    fn from(TooManyAttempts: TooManyAttempts) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Too many logins have been tried")
            .detail(format!("Try again in {RETRY_AFTER} seconds."))
            .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER))
    }
}

impl Documented for TooManyAttempts {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}

/// What a client is told when its password was not hashed.
pub(super) fn not_hashed(error: PasswordError, refusals: &Refusals) -> Problem {
    match error {
        PasswordError::Busy => {
            refusals.count(Reason::Busy);
            TooManyAttempts.into()
        }
        error => Problem::internal(error),
    }
}

/// Of a body in which there is an e-mail address.
pub(super) fn examples_of_a_body<T: DeserializeOwned>() -> Vec<Problem> {
    let mut examples = Json::<T>::examples();
    examples.push(Problem::invalid("/email", InvalidEmail.to_string()));
    examples
}
