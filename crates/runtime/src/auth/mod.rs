//! Who is calling: verifying the tokens that `auth_service` gives out, and the extractors that hand the caller on.

mod caller;
mod claims;
mod keys;
mod verifier;

pub use caller::{Admin, Caller};
pub use claims::{AUDIENCE, Audience, Claims, ISSUER, MAX_LIFETIME_MINUTES, Role};
pub use keys::{TokenConfig, hmac_secret, other_key, parse_algorithm, public_key};
pub use verifier::TokenVerifier;
