//! Who is calling: verifying the tokens that `auth_service` gives out, and the extractors that hand the caller on.

use std::{fmt, iter, sync::Arc};

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use http::{header, request::Parts};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, TokenData, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use shop_core::{Email, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    config::{Demo, Secret},
    http::Problem,
    pem::Pem,
};

/// The `iss` of the shop's tokens.
pub const ISSUER: &str = "shop";

/// The `aud` of the shop's tokens: its services, all of them.
pub const AUDIENCE: &str = "shop";

/// The longest life of a token, in minutes: 30 days.
pub const MAX_LIFETIME_MINUTES: u32 = 43_200;

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: u64 = 5;

/// Tokens are at most this long, in bytes; a longer header is refused unread.
const MAX_TOKEN: usize = 4096;

/// How tokens are verified.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tokens")]
pub struct TokenConfig {
    /// The one algorithm that is accepted: HS256, HS384, HS512, RS256, ES256 or EdDSA
    #[arg(long, env = "AUTH_JWT_ALGORITHM", default_value = "HS256", value_parser = parse_algorithm)]
    pub jwt_algorithm: Algorithm,
    /// The shared secret of the HS algorithms, at least as long as the hash (32, 48 or 64 bytes)
    #[arg(long, env = "AUTH_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<SecretString>,
    /// The public key of the other algorithms, as PEM
    #[arg(long, env = "AUTH_JWT_PUBLIC_KEY")]
    pub jwt_public_key: Option<String>,
    /// Another secret whose tokens are accepted, while secrets are rotated; nothing is signed with it
    #[arg(long, env = "AUTH_JWT_OTHER_SECRET", hide_env_values = true)]
    pub jwt_other_secret: Option<SecretString>,
    /// Another public key whose tokens are accepted, as PEM, while keys are rotated
    #[arg(long, env = "AUTH_JWT_OTHER_PUBLIC_KEY")]
    pub jwt_other_public_key: Option<String>,
    /// Whether the documentation's example may be the secret.
    #[command(flatten)]
    pub demo: Demo,
}

/// Reads the name of an algorithm that the shop supports.
///
/// # Errors
/// Any other name, `none` included.
pub fn parse_algorithm(name: &str) -> Result<Algorithm, String> {
    use Algorithm::{ES256, EdDSA, HS256, HS384, HS512, RS256};
    let algorithm: Algorithm = name.parse().map_err(|_| UNSUPPORTED.to_owned())?;
    if [HS256, HS384, HS512, RS256, ES256, EdDSA].contains(&algorithm) {
        Ok(algorithm)
    } else {
        Err(UNSUPPORTED.to_owned())
    }
}

const UNSUPPORTED: &str = "expected HS256, HS384, HS512, RS256, ES256 or EdDSA";

/// The key of an HS algorithm.
///
/// # Errors
/// Shorter than the hash's output, which RFC 7518 (section 3.2) forbids, or one that can be guessed. The
/// documentation's example is accepted in a demonstration alone.
pub fn hmac_secret(config: &TokenConfig) -> anyhow::Result<&[u8]> {
    let algorithm = config.jwt_algorithm;
    let secret = config.jwt_secret.as_ref();
    let secret = secret.ok_or_else(|| anyhow::anyhow!("AUTH_JWT_SECRET must be set for {algorithm:?}"))?;
    strong("AUTH_JWT_SECRET", Some("change_me_super_secret"), secret, config)
}

fn strong<'a>(
    variable: &'static str,
    example: Option<&'static str>,
    secret: &'a SecretString,
    config: &TokenConfig,
) -> anyhow::Result<&'a [u8]> {
    let least = match config.jwt_algorithm {
        Algorithm::HS384 => (48, "HS384, RFC 7518, 3.2"),
        Algorithm::HS512 => (64, "HS512, RFC 7518, 3.2"),
        _ => (32, "HS256, RFC 7518, 3.2"),
    };
    Secret { variable, example, least: Some(least) }.check(secret, config.demo)?;
    Ok(secret.expose_secret().as_bytes())
}

/// Reads a public key of an asymmetric algorithm, which `variable` holds as PEM.
///
/// # Errors
/// It is not one: what it is instead, and how to make one of it.
pub fn public_key(variable: &str, pem: &str, algorithm: Algorithm) -> anyhow::Result<DecodingKey> {
    let pem = Pem::public(pem, algorithm).map_err(|why| anyhow::anyhow!("{variable} {why}"))?.to_string();
    let pem = pem.as_bytes();
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem),
        _ => DecodingKey::from_ed_pem(pem),
    };
    key.map_err(|_| anyhow::anyhow!("{variable} is a public key that {algorithm:?} cannot use"))
}

/// The key beside the one that signs: the next one before a rotation, the last one after it.
///
/// # Errors
/// It is malformed, or too short.
pub fn other_key(config: &TokenConfig) -> anyhow::Result<Option<DecodingKey>> {
    let algorithm = config.jwt_algorithm;
    if algorithm.family() == AlgorithmFamily::Hmac {
        let secret = config.jwt_other_secret.as_ref();
        let secret =
            secret.map(|secret| strong("AUTH_JWT_OTHER_SECRET", None, secret, config)).transpose()?;
        return Ok(secret.map(DecodingKey::from_secret));
    }
    let pem = config.jwt_other_public_key.as_deref();
    pem.map(|pem| public_key("AUTH_JWT_OTHER_PUBLIC_KEY", pem, algorithm)).transpose()
}

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The account.
    pub sub: UserId,
    /// Its e-mail address.
    pub email: Email,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`]; a token of a version before this claim has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// The token's own id.
    pub jti: Uuid,
}

/// Whom a token is for: one, or several (RFC 7519, section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One audience.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// The shop's services.
    pub fn shop() -> Self {
        Self::One(AUDIENCE.to_owned())
    }
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Customer,
    /// Keeps the catalog and sees every order.
    Admin,
}

/// Verifies tokens with one algorithm, and one key, or two while keys are rotated.
#[derive(Clone)]
pub struct TokenVerifier(Arc<Verifier>);

struct Verifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
    /// Since then every token that is issued says what it is and whom it is for. One from before may lack it for what is left
    /// of its life, so that an update logs nobody out.
    strict_since: i64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
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
    /// A verifier of what `config` says.
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

    /// A verifier with keys that are at hand.
    pub fn with_keys(keys: impl IntoIterator<Item = DecodingKey>, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        // Looked at last, by `Verifier::read`'s callers, which differ in it.
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

    /// The claims of a token that is valid, or was until so long ago: it opens nothing any more, and still shows that its
    /// bearer has logged in.
    pub fn remembers(&self, token: &str, expired_for: TimeDelta) -> Option<Claims> {
        let claims = self.0.read(token).ok()?;
        (!has_expired_before(&claims, now() - expired_for.num_seconds())).then_some(claims)
    }
}

impl Verifier {
    /// The claims of a token that is right in everything but, perhaps, its age.
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
            // The validation has compared it, if it is there.
            && (claims.aud.is_some() || self.is_old(claims))
    }

    fn is_old(&self, claims: &Claims) -> bool {
        claims.iat < self.strict_since
    }
}

/// Whether a header is that of an access token: RFC 9068 calls it `at+jwt`, ours say `JWT`. There is no extension that would be
/// understood here, so whatever is critical is not (RFC 7515, section 4.1.11).
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

/// The authenticated caller of a request; as an argument of a handler it makes a token necessary, as
/// `Option<Caller>` optional (a token that is there must be valid all the same).
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub id: UserId,
    /// Its e-mail address.
    pub email: Email,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When the token expires.
    pub expires_at: DateTime<Utc>,
}

impl Caller {
    /// Whether the caller keeps the shop.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }
}

/// A caller with [`Role::Admin`]; anybody else gets 401 or 403.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

impl Admin {
    /// What anybody else is told.
    pub fn refusal() -> Problem {
        Problem::forbidden("Only an admin may do this.")
    }
}

fn caller(parts: &Parts, verifier: &TokenVerifier) -> Result<Option<Caller>, Problem> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(Problem::unauthorized("There is more than one Authorization header."));
    }
    let token = header.to_str().ok().and_then(|value| value.split_once(' '));
    let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) else {
        return Err(Problem::unauthorized("The Authorization header must be `Bearer <token>`."));
    };
    let claims = verifier.verify(token.trim())?;
    Ok(Some(Caller {
        id: claims.sub,
        email: claims.email,
        roles: claims.roles,
        expires_at: DateTime::from_timestamp(claims.exp, 0).unwrap_or(DateTime::<Utc>::MAX_UTC),
    }))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        caller(parts, &TokenVerifier::from_ref(state))?
            .ok_or_else(|| Problem::unauthorized("Send a token: `Authorization: Bearer <token>`."))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller
where
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        caller(parts, &TokenVerifier::from_ref(state))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin
where
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if caller.is_admin() { Ok(Self(caller)) } else { Err(Self::refusal()) }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use jsonwebtoken::EncodingKey;
    use serde_json::{Value, json};

    use super::*;

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

    /// A token whose header and claims are changed in whatever way; `null` takes a member away.
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
        TokenConfig {
            jwt_algorithm: Algorithm::HS256,
            jwt_secret: Some(text(secret)),
            jwt_public_key: None,
            jwt_other_secret: other.map(text),
            jwt_other_public_key: None,
            demo: Demo::default(),
        }
    }

    #[test]
    fn while_secrets_are_rotated_tokens_of_both_are_accepted() {
        let new: &[u8] = b"a new secret, of at least thirty-two bytes";
        let verify = |secret, other, claims: &Claims| {
            let verifier = TokenVerifier::new(&config(secret, other)).unwrap();
            verifier.verify(&token(Algorithm::HS256, claims)).map_err(|problem| format!("{problem:?}"))
        };
        // Told of the new one, signed with it, and forgetting the old one.
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
