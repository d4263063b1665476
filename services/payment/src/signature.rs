//! Signatures of webhooks, as Stripe defines them and the simulated provider copies them: a header `t=<unix seconds>,v1=<hex>` with the
//! HMAC-SHA256 of `<t>.<body>` (<https://docs.stripe.com/webhooks#verify-manually>).

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

/// How old a webhook may be, and how far ahead the sender's clock.
pub(crate) const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// While a secret is being replaced, there is a signature by each.
const MOST_SIGNATURES: usize = 8;

/// Signs webhooks and verifies their signatures.
#[derive(Clone)]
pub(crate) struct WebhookKey(hmac::Key);

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey")
    }
}

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadSignature {
    /// There is no header, or it cannot be read.
    #[error("The signature's header is missing or malformed; it is `t=<unix seconds>,v1=<hex>`.")]
    Malformed,
    /// It was signed too long ago, or in the future.
    #[error("The signature is more than five minutes old, or from the future.")]
    TooOld,
    /// It was signed with another secret, or the body was changed.
    #[error("The signature does not match the body.")]
    Wrong,
}

impl WebhookKey {
    /// The key of the secret that provider and shop share.
    pub(crate) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, secret.as_bytes()))
    }

    /// The header's value for `body`, sent at `now`.
    pub(crate) fn sign(&self, body: &[u8], now: DateTime<Utc>) -> String {
        let time = now.timestamp();
        let signature = hmac::sign(&self.0, &signed(time, body));
        format!("t={time},v1={}", hex(signature.as_ref()))
    }

    /// Checks `header` for `body`, received at `now`. Takes the same time for every wrong signature.
    pub(crate) fn verify(&self, header: &str, body: &[u8], now: DateTime<Utc>) -> Result<(), BadSignature> {
        let mut time = None;
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", value)) => time = value.parse::<i64>().ok(),
                Some(("v1", value)) if signatures.len() < MOST_SIGNATURES => signatures.extend(unhex(value)),
                // Other versions of the scheme.
                _ => {}
            }
        }
        let time = time.ok_or(BadSignature::Malformed)?;
        if signatures.is_empty() {
            return Err(BadSignature::Malformed);
        }
        let signed = signed(time, body);
        if !signatures.iter().any(|signature| hmac::verify(&self.0, &signed, signature).is_ok()) {
            return Err(BadSignature::Wrong);
        }
        let age = now.timestamp().saturating_sub(time).saturating_abs();
        if age > TOLERANCE.num_seconds() { Err(BadSignature::TooOld) } else { Ok(()) }
    }
}

fn signed(time: i64, body: &[u8]) -> Vec<u8> {
    [time.to_string().as_bytes(), b".", body].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `None` for anything but the 64 digits of an SHA-256.
fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_signature_is_the_one_that_openssl_makes() {
        // printf '1800000000.{}' | openssl dgst -sha256 -hmac whsec_test
        let signed = WebhookKey::new("whsec_test").sign(b"{}", at(0));
        insta::assert_snapshot!(signed, @"t=1800000000,v1=482e6337ac5272392d375c6fdc4d52a7e615dc2facedab0ffe155ddfd6a56e66");
    }

    #[test]
    fn only_what_was_signed_with_the_secret_is_believed() {
        let key = WebhookKey::new("secret");
        let header = key.sign(b"{}", at(0));
        assert_eq!(key.verify(&header, b"{}", at(0)), Ok(()));
        assert_eq!(key.verify(&header, b"{ }", at(0)), Err(BadSignature::Wrong));
        assert_eq!(WebhookKey::new("other").verify(&header, b"{}", at(0)), Err(BadSignature::Wrong));
        let moved = header.replace("t=1800000000", "t=1800000001");
        assert_eq!(key.verify(&moved, b"{}", at(0)), Err(BadSignature::Wrong));
    }

    #[test]
    fn a_signature_is_valid_for_five_minutes() {
        let key = WebhookKey::new("secret");
        let header = key.sign(b"{}", at(0));
        for (seconds, valid) in [(300, true), (301, false), (-300, true), (-301, false), (1 << 40, false)] {
            let verdict = key.verify(&header, b"{}", at(seconds.min(1 << 36)));
            assert_eq!(verdict.is_ok(), valid, "{seconds}: {verdict:?}");
        }
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let key = WebhookKey::new("new");
        let by_new = key.sign(b"{}", at(0));
        let (_, by_new) = by_new.split_once(',').unwrap();
        let header = format!("{}, {by_new}, v0=00", WebhookKey::new("old").sign(b"{}", at(0)));
        assert_eq!(key.verify(&header, b"{}", at(0)), Ok(()));
    }

    #[test]
    fn rubbish_is_malformed() {
        let key = WebhookKey::new("secret");
        for header in
            ["", "t=", "v1=", "t=1,v1=", "t=x,v1=00", "t=1800000000", ",,,=,", "t=1,v1=ы", "v1=00,t=1"]
        {
            assert_eq!(key.verify(header, b"{}", at(0)), Err(BadSignature::Malformed), "{header}");
        }
    }
}
