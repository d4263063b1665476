//! Who is calling: verification of the tokens that `auth_service` issues, and extractors for the caller.

mod caller;
mod claims;
mod keys;
mod verifier;

pub use caller::{Admin, Caller};
pub use claims::{AUDIENCE, Audience, Claims, ISSUER, MAX_LIFETIME_MINUTES, Role};
pub use keys::{TokenConfig, hmac_secret, other_key, parse_algorithm, public_key};
pub use verifier::TokenVerifier;
