use axum::extract::OptionalFromRequestParts;
use http::{HeaderName, request::Parts};
use sha2::{Digest as _, Sha256};
use shop_runtime::http::{Documented, Problem};

use crate::domain::Customer;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in characters.
const MAX_LENGTH: usize = 255;

/// The `Idempotency-Key` header of the IETF draft (draft-ietf-httpapi-idempotency-key-header-07).
///
/// The draft's structured string, `"8e03978e-40d5"`, and the bare `8e03978e-40d5` that most clients send are the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key for the store: different customers' keys never coincide.
    pub(super) fn of(&self, customer: &Customer) -> [u8; 32] {
        let mut digest = Sha256::new();
        match &customer.account {
            Some(id) => digest.update(format!("account\0{id}\0")),
            None => digest.update(format!("guest\0{}\0", customer.email)),
        }
        digest.update(&self.0);
        digest.finalize().into()
    }

    /// Hides the order token in the response at `location`, which is stored beside the key's hash: somebody with access to the
    /// database has neither the key nor the token.
    pub(super) fn pad(&self, location: &str) -> [u8; 32] {
        let digest = Sha256::new().chain_update("order token\0").chain_update(location);
        digest.chain_update("\0").chain_update(&self.0).finalize().into()
    }

    fn read(value: &str) -> Option<Self> {
        let value = value.trim();
        let key = match value.strip_prefix('"') {
            Some(rest) => unescape(rest.strip_suffix('"')?)?,
            None if value.contains(['"', '\\']) || !value.bytes().all(|c| c.is_ascii_graphic()) => {
                return None;
            }
            None => value.to_owned(),
        };
        (1..=MAX_LENGTH).contains(&key.len()).then_some(Self(key))
    }
}

/// The characters of a structured field's string (RFC 9651, section 3.3.3), without its quotes.
fn unescape(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            '"' => return None,
            ' '..='~' => character,
            _ => return None,
        });
    }
    Some(text)
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|_| values.next().is_none()).and_then(Self::read);
        key.map(Some).ok_or_else(not_a_key)
    }
}

impl Documented for IdempotencyKey {
    fn examples() -> Vec<Problem> {
        vec![not_a_key()]
    }
}

fn not_a_key() -> Problem {
    Problem::bad_request(format!(
        "Idempotency-Key must be one string of 1 to {MAX_LENGTH} visible ASCII characters."
    ))
}

#[cfg(test)]
mod tests {
    use shop_core::UserId;

    use super::*;

    #[test]
    fn quoted_and_bare_keys_are_the_same() {
        assert_eq!(IdempotencyKey::read("\"8e03978e\""), Some(IdempotencyKey("8e03978e".to_owned())));
        assert_eq!(IdempotencyKey::read("8e03978e"), IdempotencyKey::read("\"8e03978e\""));
        assert_eq!(IdempotencyKey::read(r#""a\"b\\c d""#), Some(IdempotencyKey(r#"a"b\c d"#.to_owned())));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for value in [
            "",
            "\"\"",
            "\"",
            "\"open",
            "a b",
            "a\"b",
            r#""a"b""#,
            r#""a\b""#,
            "\"a\";p=1",
            "a\tb",
            "\"a\tb\"",
            &long,
        ] {
            assert_eq!(IdempotencyKey::read(value), None, "{value}");
        }
    }

    #[test]
    fn no_two_orders_have_one_pad() {
        let [one, other] = ["k", "l"].map(|key| IdempotencyKey(key.to_owned()));
        let pads = [one.pad("/orders/1"), one.pad("/orders/2"), other.pad("/orders/1")];
        assert!(pads[0] != pads[1] && pads[0] != pads[2] && pads[1] != pads[2]);
        assert_eq!(one.pad("/orders/1"), pads[0]);
    }

    #[test]
    fn a_key_belongs_to_its_customer() {
        let key = IdempotencyKey("k".to_owned());
        let customer = |account: Option<u128>, email: &str| Customer {
            account: account.map(|id| UserId(uuid::Uuid::from_u128(id))),
            email: email.parse().unwrap(),
        };
        let keys = [
            key.of(&customer(None, "a@example.com")),
            key.of(&customer(None, "b@example.com")),
            key.of(&customer(Some(1), "a@example.com")),
            key.of(&customer(Some(2), "a@example.com")),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(key.of(&customer(Some(1), "new@example.com")), keys[2]);
    }
}
