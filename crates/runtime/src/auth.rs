//! Who is calling: verifying the tokens that `auth_service` gives out, and the extractors that hand the caller on.

use std::{fmt, iter, sync::Arc};

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use chrono::{DateTime, Utc};
use clap::Args;
use http::{header, request::Parts};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, errors::ErrorKind};
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
    /// The token's own id.
    pub jti: Uuid,
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
pub struct TokenVerifier(Arc<(Vec<DecodingKey>, Validation)>);

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenVerifier({:?})", self.0.1.algorithms)
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
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.leeway = 5;
        Self(Arc::new((keys.into_iter().collect(), validation)))
    }

    /// The claims of a valid token.
    ///
    /// # Errors
    /// A 401 problem that says whether it has expired, and nothing else.
    pub fn verify(&self, token: &str) -> Result<Claims, Problem> {
        let (keys, validation) = &*self.0;
        if token.len() > MAX_TOKEN {
            return Err(Problem::unauthorized("The token is too long."));
        }
        let mut refusal = "The token is not valid.";
        for key in keys {
            match jsonwebtoken::decode::<Claims>(token, key, validation) {
                Ok(token) => return Ok(token.claims),
                // The signature was this key's.
                Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                    refusal = "The token has expired.";
                }
                Err(_) => {}
            }
        }
        Err(Problem::unauthorized(refusal))
    }
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
    use jsonwebtoken::{EncodingKey, Header};

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
            jti: Uuid::nil(),
        }
    }

    fn token(algorithm: Algorithm, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET)).unwrap()
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
