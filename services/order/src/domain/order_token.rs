use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Proves that a guest's order is the guest's own: 256 random bits, shown once, when the order is placed.
///
/// Only its [`TokenHash`] is stored. It formats as nothing, so that it reaches no log.
#[derive(Clone)]
pub(crate) struct OrderToken([u8; Self::BYTES]);

/// The stored form of an [`OrderToken`]: SHA-256 without salt, which 256 random bits do not need.
///
/// The database compares hashes. The time that this takes reveals something about a hash, but not enough to find a
/// token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenHash(pub [u8; 32]);

/// The text is not a token of any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("An order token is the `order_token` in the response to a guest's order.")]
pub(crate) struct NotAToken;

impl OrderToken {
    /// The length, in bytes.
    pub(crate) const BYTES: usize = 32;

    /// Creates a token from these random bytes.
    pub(crate) fn new(random: [u8; Self::BYTES]) -> Self {
        Self(random)
    }

    /// Its hash, for storage.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }

    /// The token as the guest sees it: 43 characters of base64url.
    pub(crate) fn reveal(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Combines the token with `pad`, so that each hides the other. [`OrderToken::unseal`] recovers the token with the same pad.
    pub(crate) fn seal(&self, pad: &[u8; Self::BYTES]) -> [u8; Self::BYTES] {
        std::array::from_fn(|place| self.0[place] ^ pad[place])
    }

    /// Recovers the token that [`OrderToken::seal`] hid.
    pub(crate) fn unseal(sealed: [u8; Self::BYTES], pad: &[u8; Self::BYTES]) -> Self {
        Self(Self(sealed).seal(pad))
    }
}

impl FromStr for OrderToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAToken)?;
        bytes.try_into().map(Self).map_err(|_| NotAToken)
    }
}

impl fmt::Debug for OrderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_its_seal() {
        let token = OrderToken::new([7; 32]);
        let read: OrderToken = token.reveal().parse().unwrap();
        assert_eq!((read.hash(), token.reveal().len()), (token.hash(), 43));
        let sealed = token.seal(&[9; 32]);
        assert_ne!(sealed, [7; 32]);
        assert_eq!(OrderToken::unseal(sealed, &[9; 32]).hash(), token.hash());
        assert_ne!(OrderToken::unseal(sealed, &[8; 32]).hash(), token.hash());
    }

    #[test]
    fn what_is_no_token_is_refused_and_what_is_one_is_not_printed() {
        let token = OrderToken::new([7; 32]);
        let long = format!("{}A", token.reveal());
        for text in ["", "x", "ы", &long, &long[..42], &"=".repeat(43)] {
            assert_eq!(text.parse::<OrderToken>().map(drop), Err(NotAToken), "{text}");
        }
        assert_eq!(format!("{token:?}"), "OrderToken(…)");
    }
}
