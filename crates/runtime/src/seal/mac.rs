use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// Creates and verifies seals for one purpose.
#[derive(Clone)]
pub struct Seal(hmac::Key);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Seals for `purpose` with a key that is derived from `secret`.
    pub fn new(purpose: &str, secret: &[u8]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(HMAC_SHA256, secret), purpose.as_bytes());
        Self(hmac::Key::new(HMAC_SHA256, derived.as_ref()))
    }

    /// The seal of `parts`, as text.
    pub fn of(&self, parts: &[&[u8]]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &joined(parts)))
    }

    /// Whether `seal` is that of `parts`; takes the same time for every seal.
    pub fn is_of(&self, seal: &str, parts: &[&[u8]]) -> bool {
        BASE64_URL_SAFE_NO_PAD
            .decode(seal)
            .is_ok_and(|seal| hmac::verify(&self.0, &joined(parts), &seal).is_ok())
    }
}

/// Each part with its length, so that no two lists of parts look alike.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [(part.len() as u64).to_be_bytes().as_slice(), part].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_parts_under_the_same_secret_and_purpose_have_a_seal() {
        let seal = Seal::new("lists", b"secret");
        let of = seal.of(&[b"one", b"two"]);
        assert!(seal.is_of(&of, &[b"one", b"two"]));
        for parts in [[b"on".as_slice(), b"etwo"], [b"two", b"one"], [b"one", b"TWO"]] {
            assert!(!seal.is_of(&of, &parts));
        }
        assert!(!Seal::new("lists", b"other").is_of(&of, &[b"one", b"two"]));
        assert!(!Seal::new("sessions", b"secret").is_of(&of, &[b"one", b"two"]));
        assert!(!seal.is_of("", &[b"one", b"two"]) && !seal.is_of("not base64!", &[]));
    }
}
