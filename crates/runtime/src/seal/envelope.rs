use std::{fmt, sync::Arc};

use anyhow::Context as _;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac::{self, HMAC_SHA256},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use thiserror::Error;

/// Hides data from everybody who does not have the secret, and shows whether it was changed: AES-256-GCM, for one purpose.
///
/// Each text has a random nonce of 96 bits, so a secret is good for 2³² texts (NIST SP 800-38D, section 8.3). Clones share the key.
#[derive(Clone)]
pub struct Envelope(Arc<RandomizedNonceKey>);

/// Why a sealed text cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unsealable {
    /// It is not base64url, or too short: it was never sealed, or was cut off.
    #[error("this is not a sealed text")]
    Malformed,
    /// It was sealed with another secret, for another purpose or another context, or it was changed.
    #[error("the text was sealed with another secret, for something else, or was changed since")]
    Foreign,
}

impl Envelope {
    /// Envelopes for `purpose` with a key that is derived from `secret`, as [`Seal::new`](super::Seal::new) does.
    ///
    /// # Errors
    /// The cryptographic library refuses the key, which has the right length for it.
    pub fn new(purpose: &str, secret: &[u8]) -> anyhow::Result<Self> {
        let derived = hmac::sign(&hmac::Key::new(HMAC_SHA256, secret), purpose.as_bytes());
        let key = RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref());
        Ok(Self(Arc::new(key.context("a key of AES-256-GCM cannot be made")?)))
    }

    /// Seals `content`, bound to `context`: it can only be opened with the same context. The result is base64url.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn seal(&self, content: &[u8], context: &[u8]) -> anyhow::Result<String> {
        let mut sealed = content.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(context), &mut sealed);
        let nonce = nonce.context("a text cannot be sealed")?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    /// The content of `sealed`.
    ///
    /// # Errors
    /// It was not sealed with this secret, for this purpose and with this `context`, or it was changed since.
    pub fn open(&self, sealed: &str, context: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let mut sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Unsealable::Malformed)?;
        let (nonce, content) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(Unsealable::Malformed)?;
        if content.len() < AES_256_GCM.tag_len() {
            return Err(Unsealable::Malformed);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable::Malformed)?;
        let content = self.0.open_in_place(nonce, Aad::from(context), content);
        Ok(content.map_err(|_| Unsealable::Foreign)?.to_vec())
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Envelope")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(purpose: &str, secret: &str) -> Envelope {
        Envelope::new(purpose, secret.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_secret_purpose_and_context() {
        let ours = envelope("tokens", "secret");
        let sealed = ours.seal(b"a token", b"order 1").unwrap();
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
        assert_eq!(envelope("tokens", "secret").open(&sealed, b"order 1").unwrap(), b"a token");
        let foreign = Err(Unsealable::Foreign);
        assert_eq!(ours.open(&sealed, b"order 2"), foreign);
        assert_eq!(envelope("tokens", "other").open(&sealed, b"order 1"), foreign);
        assert_eq!(envelope("links", "secret").open(&sealed, b"order 1"), foreign);
    }

    #[test]
    fn no_two_envelopes_look_alike_and_none_shows_its_content() {
        let ours = envelope("tokens", "secret");
        let [one, other] = [(); 2].map(|()| ours.seal(b"a token", b"order 1").unwrap());
        assert_ne!(one, other);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&one).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"a token"));
        assert_eq!(bytes.len(), NONCE_LEN + 7 + AES_256_GCM.tag_len());
        assert_eq!(format!("{ours:?}"), "Envelope");
    }

    #[test]
    fn a_change_of_any_byte_is_noticed() {
        let ours = envelope("tokens", "secret");
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(ours.seal(b"a token", b"").unwrap()).unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(ours.open(&BASE64_URL_SAFE_NO_PAD.encode(changed), b""), Err(Unsealable::Foreign));
        }
        for length in 0..NONCE_LEN + AES_256_GCM.tag_len() {
            let cut = BASE64_URL_SAFE_NO_PAD.encode(&sealed[..length]);
            assert_eq!(ours.open(&cut, b""), Err(Unsealable::Malformed), "{length}");
        }
        for text in ["=", "not base64!", "ы"] {
            assert_eq!(ours.open(text, b""), Err(Unsealable::Malformed), "{text}");
        }
        let nothing = ours.seal(b"", b"").unwrap();
        assert_eq!(ours.open(&nothing, b"").unwrap(), b"");
    }
}
