//! The keys that tokens are verified with, as the environment names them.

use clap::Args;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    config::{Demo, Secret},
    pem::Pem,
};

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

impl TokenConfig {
    /// HS256 with `secret`, and no second key.
    pub fn with_secret(secret: impl Into<SecretString>) -> Self {
        Self {
            jwt_algorithm: Algorithm::HS256,
            jwt_secret: Some(secret.into()),
            jwt_public_key: None,
            jwt_other_secret: None,
            jwt_other_public_key: None,
            demo: Demo::default(),
        }
    }
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
/// It is shorter than the hash's output, which RFC 7518 (section 3.2) forbids, or can be guessed. The documentation's example
/// is accepted only in a demonstration.
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
/// It is not one. The message says what it is instead, and how to convert it.
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

/// The second key while keys are rotated: the next one before the change, the previous one after it.
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
