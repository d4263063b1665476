use std::{fmt, iter, sync::Arc};

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, TokenData, Validation};

use super::{
    claims::{AUDIENCE, Claims, ISSUER, MAX_LIFETIME_MINUTES},
    keys::{TokenConfig, hmac_secret, other_key, public_key},
};
use crate::http::Problem;

/// How far the clocks of two machines may differ, in seconds.
const LEEWAY: u64 = 5;

/// The longest token, in bytes. Anything longer is refused unread.
const MAX_TOKEN: usize = 4096;

/// Verifies tokens with one algorithm and one key, or two keys while they are rotated.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Verifier>);

struct Verifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
    /// Tokens issued since then must state their type and audience. Older ones may lack both until they expire, so that an
    /// update logs nobody out.
    strict_since: i64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLong,
    Invalid,
    Expired,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::unauthorized(match refusal {
            Refusal::TooLong => "The token is too long.",
            Refusal::Invalid => "The token is not valid.",
            Refusal::Expired => "The token has expired.",
        })
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenVerifier({:?})", self.0.validation.algorithms)
    }
}

impl TokenVerifier {
    /// A verifier with the keys in `config`.
    ///
    /// # Errors
    /// The key for the algorithm is missing, malformed or too short.
    pub fn new(config: &TokenConfig) -> anyhow::Result<Self> {
        let algorithm = config.jwt_algorithm;
        let key = if algorithm.family() == AlgorithmFamily::Hmac {
            DecodingKey::from_secret(hmac_secret(config)?)
        } else {
            let pem = config.jwt_public_key.as_deref();
            let pem =
                pem.ok_or_else(|| anyhow::anyhow!("AUTH_JWT_PUBLIC_KEY must be set for {algorithm:?}"))?;
            public_key("AUTH_JWT_PUBLIC_KEY", pem, algorithm)?
        };
        Ok(Self::with_keys(iter::once(key).chain(other_key(config)?), algorithm))
    }

    /// A verifier with these keys.
    pub fn with_keys(keys: impl IntoIterator<Item = DecodingKey>, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        // Checked last, by the callers of `Verifier::read`, which differ in this.
        validation.validate_exp = false;
        Self(Arc::new(Verifier { keys: keys.into_iter().collect(), validation, strict_since: now() }))
    }

    /// The claims of a valid token.
    ///
    /// # Errors
    /// A 401 problem that says whether it has expired, and nothing else.
    pub fn verify(&self, token: &str) -> Result<Claims, Problem> {
        let claims = self.0.read(token)?;
        if has_expired_before(&claims, now() - LEEWAY.cast_signed()) {
            return Err(Refusal::Expired.into());
        }
        Ok(claims)
    }

    /// The claims of a token that is valid, or expired no longer than `expired_for` ago. Such a token gives no access, but still
    /// shows that its bearer has logged in.
    pub fn remembers(&self, token: &str, expired_for: TimeDelta) -> Option<Claims> {
        let claims = self.0.read(token).ok()?;
        (!has_expired_before(&claims, now() - expired_for.num_seconds())).then_some(claims)
    }
}

impl Verifier {
    /// The claims of a token that is valid, except that it may have expired.
    fn read(&self, token: &str) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLong);
        }
        let decode = |key| jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok();
        let TokenData { header, claims } = self.keys.iter().find_map(decode).ok_or(Refusal::Invalid)?;
        let is_right = is_token_header(&header, self.is_old(&claims)) && self.is_token(&claims);
        is_right.then_some(claims).ok_or(Refusal::Invalid)
    }

    fn is_token(&self, claims: &Claims) -> bool {
        let longest = i64::from(MAX_LIFETIME_MINUTES) * 60;
        claims.iat <= now() + LEEWAY.cast_signed()
            && claims.exp.saturating_sub(claims.iat) <= longest
            // If it is there, the validation has compared it.
            && (claims.aud.is_some() || self.is_old(claims))
    }

    fn is_old(&self, claims: &Claims) -> bool {
        claims.iat < self.strict_since
    }
}

/// Whether a header is that of an access token: RFC 9068 calls the type `at+jwt`, ours say `JWT`. No extensions are supported, so
/// a token with critical ones is refused (RFC 7515, section 4.1.11).
fn is_token_header(header: &Header, is_old: bool) -> bool {
    let is_typ = match header.typ.as_deref() {
        Some(typ) => {
            ["JWT", "at+jwt", "application/at+jwt"].iter().any(|name| typ.eq_ignore_ascii_case(name))
        }
        None => is_old,
    };
    is_typ && header.crit.is_none() && !header.extras.inner().contains_key("b64")
}

fn has_expired_before(claims: &Claims, moment: i64) -> bool {
    claims.exp < moment
}

/// Seconds since 1970, as the library reads them.
fn now() -> i64 {
    jsonwebtoken::get_current_timestamp().try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use jsonwebtoken::EncodingKey;
    use secrecy::SecretString;
    use serde_json::{Value, json};
    use shop_core::UserId;
    use uuid::Uuid;

    use super::*;
    use crate::{
        auth::{Audience, Role},
        config::Demo,
    };

    const SECRET: &[u8] = b"a secret that is long enough for HS512, which wants 64 bytes of it";

    fn claims(expires_in: i64) -> Claims {
        let now = shop_core::Clock::system().now().timestamp();
        Claims {
            sub: UserId(Uuid::nil()),
            email: "user@example.com".parse().unwrap(),
            roles: vec![Role::Customer],
            iat: now,
            exp: now + expires_in,
            iss: ISSUER.to_owned(),
            aud: Some(Audience::shop()),
            jti: Uuid::nil(),
        }
    }

    fn token(algorithm: Algorithm, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    /// A token with changes to its header and claims; `null` removes a member.
    fn changed(claims: &Claims, header_changes: &Value, claim_changes: &Value) -> String {
        let mut header = json!({ "alg": "HS256", "typ": "JWT" });
        let mut claims = serde_json::to_value(claims).unwrap();
        for (members, changes) in [(&mut header, header_changes), (&mut claims, claim_changes)] {
            for (name, value) in changes.as_object().unwrap() {
                members[name] = value.clone();
            }
            members.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        signed(&header.to_string(), &claims.to_string())
    }

    fn signed(header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{claims}");
        let key = EncodingKey::from_secret(SECRET);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn verifier() -> TokenVerifier {
        TokenVerifier::new(&config(SECRET, None)).unwrap()
    }

    #[test]
    fn a_token_is_what_its_header_says_and_nothing_that_we_do_not_understand() {
        let verify = |header: Value| verifier().verify(&changed(&claims(60), &header, &json!({}))).is_ok();
        for header in [
            json!({}),
            json!({ "typ": "jwt" }),
            json!({ "typ": "at+JWT" }),
            json!({ "typ": "application/at+jwt" }),
            json!({ "kid": "../../etc/passwd", "jku": "https://evil.example/keys", "cty": "JWT" }),
        ] {
            assert!(verify(header.clone()), "{header}");
        }
        for header in [
            json!({ "crit": ["exp"] }),
            json!({ "crit": ["b64"], "b64": false }),
            json!({ "crit": ["http://example.com/UNDEFINED"], "http://example.com/UNDEFINED": true }),
            json!({ "crit": [] }),
            json!({ "crit": "exp" }),
            json!({ "b64": false }),
            json!({ "typ": "dpop+jwt" }),
            json!({ "typ": "secevent+jwt" }),
            json!({ "typ": "" }),
            json!({ "typ": 5 }),
            json!({ "typ": null }),
            json!({ "alg": "HS384" }),
            json!({ "alg": "none" }),
            json!({ "alg": "RS256" }),
            json!({ "alg": null }),
        ] {
            assert!(!verify(header.clone()), "{header}");
        }
        let claims = serde_json::to_string(&claims(60)).unwrap();
        for header in [
            r#"{"alg":"none","alg":"HS256","typ":"JWT"}"#,
            r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
            r#"{"alg":"HS256","typ":"JWT"} "x""#,
            r#"["HS256"]"#,
        ] {
            assert!(verifier().verify(&signed(header, &claims)).is_err(), "{header}");
        }
    }

    #[test]
    fn a_token_says_from_when_until_when_and_for_whom() {
        let now = now();
        let verify = |changes: Value| verifier().verify(&changed(&claims(60), &json!({}), &changes)).is_ok();
        let longest = i64::from(MAX_LIFETIME_MINUTES) * 60;
        for changes in [
            json!({ "nbf": now }),
            json!({ "nbf": now + 3, "iat": now + 3 }),
            json!({ "aud": ["elsewhere", "shop"] }),
            json!({ "exp": now + longest }),
            json!({ "iat": now - longest + 70 }),
        ] {
            assert!(verify(changes.clone()), "{changes}");
        }
        for changes in [
            json!({ "nbf": now + 60 }),
            json!({ "nbf": "soon" }),
            json!({ "nbf": -1 }),
            json!({ "iat": now + 60, "exp": now + 120 }),
            json!({ "iat": null }),
            json!({ "iat": now + 70 }),
            json!({ "exp": null }),
            json!({ "exp": now + longest + 60 }),
            json!({ "exp": 4_102_444_800_u64 }),
            json!({ "exp": u64::MAX }),
            json!({ "iat": i64::MIN }),
            json!({ "aud": null }),
            json!({ "aud": "elsewhere" }),
            json!({ "aud": ["elsewhere"] }),
            json!({ "aud": [] }),
            json!({ "aud": 5 }),
            json!({ "aud": "" }),
            json!({ "iss": ["elsewhere"] }),
            json!({ "sub": null }),
        ] {
            assert!(!verify(changes.clone()), "{changes}");
        }
        let twice = serde_json::to_string(&claims(60)).unwrap().replacen('{', r#"{"roles":["admin"],"#, 1);
        assert!(verifier().verify(&signed(r#"{"alg":"HS256","typ":"JWT"}"#, &twice)).is_err());
    }

    #[test]
    fn a_token_of_the_version_before_is_good_until_it_expires() {
        let old = changed(&claims(60), &json!({ "typ": null }), &json!({ "aud": null, "iat": now() - 60 }));
        assert!(verifier().verify(&old).is_ok());
        let wrong = changed(&claims(60), &json!({}), &json!({ "aud": "elsewhere", "iat": now() - 60 }));
        assert!(verifier().verify(&wrong).is_err(), "what it says must be right all the same");
        let new = changed(&claims(60), &json!({}), &json!({ "aud": null, "iat": now() }));
        assert!(verifier().verify(&new).is_err());
    }

    #[test]
    fn an_expired_token_is_remembered_for_a_while_and_opens_nothing() {
        let (day, verifier) = (TimeDelta::days(1), verifier());
        let expired = token(Algorithm::HS256, &claims(-60));
        assert!(verifier.verify(&expired).is_err());
        assert!(verifier.remembers(&expired, day).is_some());
        assert!(verifier.remembers(&expired, TimeDelta::seconds(30)).is_none());
        assert!(verifier.remembers(&format!("{expired}x"), day).is_none());
    }

    fn config(secret: &[u8], other: Option<&[u8]>) -> TokenConfig {
        let text = |secret: &[u8]| SecretString::from(str::from_utf8(secret).unwrap());
        TokenConfig { jwt_other_secret: other.map(text), ..TokenConfig::with_secret(text(secret)) }
    }

    #[test]
    fn while_secrets_are_rotated_tokens_of_both_are_accepted() {
        let new: &[u8] = b"a new secret, of at least thirty-two bytes";
        let verify = |secret, other, claims: &Claims| {
            let verifier = TokenVerifier::new(&config(secret, other)).unwrap();
            verifier.verify(&token(Algorithm::HS256, claims)).map_err(|problem| format!("{problem:?}"))
        };
        // Knowing the new one, signing with it, and forgetting the old one.
        assert!(verify(SECRET, Some(new), &claims(60)).is_ok());
        assert!(verify(new, Some(SECRET), &claims(60)).is_ok());
        assert!(verify(new, None, &claims(60)).is_err());
        assert!(verify(new, Some(SECRET), &claims(-60)).unwrap_err().contains("has expired"));
        let short = TokenVerifier::new(&config(SECRET, Some(b"short"))).unwrap_err().to_string();
        assert!(short.starts_with("AUTH_JWT_OTHER_SECRET has 5 bytes"), "{short}");
    }

    #[test]
    fn only_the_configured_algorithm_and_issuer_are_accepted() {
        let verifier = TokenVerifier::new(&config(SECRET, None)).unwrap();
        assert!(verifier.verify(&token(Algorithm::HS256, &claims(60))).is_ok());
        assert!(verifier.verify(&token(Algorithm::HS384, &claims(60))).is_err());
        assert!(verifier.verify(&token(Algorithm::HS256, &claims(-60))).is_err());
        assert!(
            verifier
                .verify(&token(Algorithm::HS256, &Claims { iss: "other".to_owned(), ..claims(60) }))
                .is_err()
        );
        // {"alg":"none"}
        let signed = token(Algorithm::HS256, &claims(60));
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", signed.split('.').nth(1).unwrap());
        assert!(verifier.verify(&unsigned).is_err());
    }

    #[test]
    fn nobody_verifies_with_a_secret_that_can_be_guessed() {
        let verifier = |secret: &str, algorithm: Algorithm, is_on: bool| {
            let demo = Demo { is_on };
            TokenVerifier::new(&TokenConfig {
                jwt_algorithm: algorithm,
                demo,
                ..config(secret.as_bytes(), None)
            })
        };
        let random = "4f1c0b7e9d2a4c558861b0d3f7a9e6c2";
        assert!(verifier(random, Algorithm::HS256, false).is_ok());
        assert!(verifier(random, Algorithm::HS512, false).is_err());
        assert!(verifier("change_me_super_secret", Algorithm::HS256, true).is_ok());
        for secret in ["change_me_super_secret", "change_me", "short", &"x".repeat(64)] {
            assert!(verifier(secret, Algorithm::HS256, false).is_err(), "{secret}");
        }
        for secret in ["change_me", "change_me_session", "short"] {
            assert!(verifier(secret, Algorithm::HS256, true).is_err(), "{secret}");
        }
        let missing = TokenConfig { jwt_secret: None, ..config(SECRET, None) };
        assert_eq!(
            TokenVerifier::new(&missing).unwrap_err().to_string(),
            "AUTH_JWT_SECRET must be set for HS256"
        );
    }
}
