use std::iter;

use anyhow::Context as _;
use chrono::TimeDelta;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use secrecy::{ExposeSecret as _, SecretString};
use shop_core::Clock;
use shop_runtime::{
    auth::{Audience, Claims, ISSUER, TokenConfig, TokenVerifier, hmac_secret, other_key, public_key},
    pem::Pem,
};

use super::Account;

/// Signs tokens.
pub(crate) struct Tokens {
    header: Header,
    key: EncodingKey,
    verifier: TokenVerifier,
    public_keys: Vec<Jwk>,
    lifetime: TimeDelta,
}

impl Tokens {
    /// Creates a signer with the key that `config`'s algorithm needs.
    ///
    /// # Errors
    /// The key is missing, malformed, too short, or not the private half of the configured public key.
    pub(crate) fn new(
        config: &TokenConfig,
        private_key: Option<&SecretString>,
        lifetime: TimeDelta,
    ) -> anyhow::Result<Self> {
        let algorithm = config.jwt_algorithm;
        let mut header = Header::new(algorithm);
        if algorithm.family() == AlgorithmFamily::Hmac {
            let secret = hmac_secret(config)?;
            let accepted = iter::once(DecodingKey::from_secret(secret)).chain(other_key(config)?);
            let verifier = TokenVerifier::with_keys(accepted, algorithm);
            let key = EncodingKey::from_secret(secret);
            return Ok(Self { header, key, verifier, public_keys: Vec::new(), lifetime });
        }
        let pem = private_key
            .ok_or_else(|| anyhow::anyhow!("AUTH_JWT_PRIVATE_KEY must be set for {algorithm:?}"))?;
        let pem = Pem::private(pem.expose_secret(), algorithm)
            .map_err(|why| anyhow::anyhow!("AUTH_JWT_PRIVATE_KEY {why}"))?;
        // The library's errors are dropped on purpose: none may quote a private key.
        let (key, public_key) = read_private_key(pem.to_string().as_bytes(), algorithm)
            .map_err(|_| anyhow::anyhow!("AUTH_JWT_PRIVATE_KEY is not a key that {algorithm:?} can use"))?;
        if let Some(configured) = &config.jwt_public_key {
            is_the_same_key(configured, algorithm, &public_key)?;
        }
        header.kid.clone_from(&public_key.common.key_id);
        let other =
            other_key(config)?.map(|key| Jwk::from_decoding_key(&key, Some(algorithm))).transpose()?;
        let public_keys: Vec<Jwk> =
            iter::once(Ok(public_key)).chain(other.map(published)).collect::<Result<_, _>>()?;
        let accepted = public_keys.iter().map(DecodingKey::from_jwk).collect::<Result<Vec<_>, _>>()?;
        let verifier = TokenVerifier::with_keys(accepted, algorithm);
        Ok(Self { header, key, verifier, public_keys, lifetime })
    }

    /// A verifier for the tokens that this signs.
    pub(crate) fn verifier(&self) -> TokenVerifier {
        self.verifier.clone()
    }

    /// The public keys for verifying, starting with the one that signs. An HMAC secret is not among them.
    pub(crate) fn public_keys(&self) -> &[Jwk] {
        &self.public_keys
    }

    /// How long a token is valid.
    pub(crate) fn lifetime(&self) -> TimeDelta {
        self.lifetime
    }

    /// Returns a token for `account` that is valid from now on.
    ///
    /// # Errors
    /// The key cannot sign; [`Tokens::new`] has ruled that out.
    pub(crate) fn issue(&self, account: &Account, clock: &Clock) -> anyhow::Result<String> {
        let now = clock.now();
        let claims = Claims {
            sub: account.id,
            email: account.email.clone(),
            roles: account.roles(),
            iat: now.timestamp(),
            exp: (now + self.lifetime).timestamp(),
            iss: ISSUER.to_owned(),
            aud: Some(Audience::shop()),
            jti: clock.new_id(),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key).context("a token could not be signed")
    }
}

/// Reads a private key, and derives the public key, which is named by its thumbprint (RFC 7638).
fn read_private_key(
    pem: &[u8],
    algorithm: Algorithm,
) -> Result<(EncodingKey, Jwk), jsonwebtoken::errors::Error> {
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem)?,
        AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem)?,
        _ => EncodingKey::from_ed_pem(pem)?,
    };
    let public_key = published(Jwk::from_encoding_key(&key, algorithm)?)?;
    Ok((key, public_key))
}

/// Adds its name and purpose.
fn published(mut key: Jwk) -> Result<Jwk, jsonwebtoken::errors::Error> {
    key.common.public_key_use = Some(PublicKeyUse::Signature);
    key.common.key_id = Some(key.thumbprint(ThumbprintHash::SHA256)?);
    Ok(key)
}

/// Other services verify with the configured public key; if it differed from the one here, they would refuse every token.
fn is_the_same_key(configured: &str, algorithm: Algorithm, derived: &Jwk) -> anyhow::Result<()> {
    let key = public_key("AUTH_JWT_PUBLIC_KEY", configured, algorithm)?;
    let configured = Jwk::from_decoding_key(&key, Some(algorithm))
        .map_err(|_| anyhow::anyhow!("AUTH_JWT_PUBLIC_KEY is not a PEM key for {algorithm:?}"))?;
    anyhow::ensure!(
        configured.algorithm == derived.algorithm,
        "AUTH_JWT_PUBLIC_KEY is not the public half of AUTH_JWT_PRIVATE_KEY"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use shop_core::UserId;
    use shop_runtime::auth::Role;

    use super::*;
    use crate::testing::keys;

    const SECRET: &str = "a secret of the tests, which has the sixty-four bytes of HS512 and more";

    const ASYMMETRIC: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

    fn config(algorithm: Algorithm) -> TokenConfig {
        TokenConfig { jwt_algorithm: algorithm, ..TokenConfig::with_secret(SECRET) }
    }

    fn tokens(algorithm: Algorithm) -> Tokens {
        let key = ASYMMETRIC.contains(&algorithm).then(|| keys(algorithm).private);
        Tokens::new(&config(algorithm), key.as_ref(), TimeDelta::hours(1)).unwrap()
    }

    fn account() -> Account {
        let id = UserId(Clock::system().new_id());
        Account { id, email: "user@example.com".parse().unwrap(), admin: true }
    }

    /// Why a signer with these keys does not start.
    fn refusal(algorithm: Algorithm, private: Option<&SecretString>, public: Option<String>) -> String {
        let config = TokenConfig { jwt_public_key: public, jwt_secret: None, ..config(algorithm) };
        Tokens::new(&config, private, TimeDelta::hours(1)).err().unwrap().to_string()
    }

    #[test]
    fn every_algorithm_signs_what_it_verifies() {
        use Algorithm::{HS256, HS384, HS512};
        for algorithm in [HS256, HS384, HS512].into_iter().chain(ASYMMETRIC) {
            let tokens = tokens(algorithm);
            let token = tokens.issue(&account(), &Clock::system()).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!(header.alg, algorithm);
            let claims = tokens.verifier().verify(&token).unwrap();
            assert_eq!(claims.email.as_str(), "user@example.com");
            assert_eq!(claims.roles, [Role::Customer, Role::Admin]);
            assert_eq!((claims.exp - claims.iat, claims.iss.as_str()), (3600, ISSUER));
            assert_eq!((header.typ.as_deref(), claims.aud), (Some("JWT"), Some(Audience::shop())));
        }
    }

    #[test]
    fn an_asymmetric_token_names_its_published_key() {
        for algorithm in ASYMMETRIC {
            let tokens = tokens(algorithm);
            let token = tokens.issue(&account(), &Clock::system()).unwrap();
            let kid = jsonwebtoken::decode_header(&token).unwrap().kid;
            let published = serde_json::to_value(tokens.public_keys().first().unwrap()).unwrap();
            assert_eq!(published["kid"], *kid.unwrap());
            assert_eq!(published["use"], "sig");
            assert!(published.get("d").is_none(), "the private half stays here");
        }
        assert!(tokens(Algorithm::HS256).public_keys().is_empty());
    }

    #[test]
    fn other_services_verify_with_the_public_key_alone() {
        for algorithm in ASYMMETRIC {
            let keys = keys(algorithm);
            let mut config = TokenConfig { jwt_secret: None, ..config(algorithm) };
            config.jwt_public_key = Some(keys.public);
            let tokens = Tokens::new(&config, Some(&keys.private), TimeDelta::hours(1)).unwrap();
            let token = tokens.issue(&account(), &Clock::system()).unwrap();
            assert!(TokenVerifier::new(&config).unwrap().verify(&token).is_ok(), "{algorithm:?}");
        }
    }

    #[test]
    fn the_key_of_a_rotation_is_published_and_accepted_and_signs_nothing() {
        for algorithm in ASYMMETRIC {
            let (old, new) = (keys(algorithm), keys(algorithm));
            let with = |private: &SecretString, other: String| {
                let other = TokenConfig { jwt_other_public_key: Some(other), ..config(algorithm) };
                Tokens::new(&other, Some(private), TimeDelta::hours(1)).unwrap()
            };
            let (before, after) = (with(&old.private, new.public), with(&new.private, old.public));
            let token = before.issue(&account(), &Clock::system()).unwrap();
            assert!(after.verifier().verify(&token).is_ok(), "{algorithm:?}");
            let names = |tokens: &Tokens| {
                let names = tokens.public_keys().iter().map(|key| key.common.key_id.clone());
                names.collect::<Vec<_>>()
            };
            let mut published = names(&before);
            assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid, published[0]);
            published.reverse();
            assert_eq!(published, names(&after));
        }
    }

    #[test]
    fn a_wrong_key_stops_the_start() {
        insta::assert_snapshot!(
            refusal(Algorithm::ES256, None, None),
            @"AUTH_JWT_PRIVATE_KEY must be set for ES256"
        );
        insta::assert_snapshot!(
            refusal(Algorithm::ES256, Some(&keys(Algorithm::EdDSA).private), None),
            @"AUTH_JWT_PRIVATE_KEY is a key of the kind Ed25519, and ES256 needs one of P-256"
        );
        insta::assert_snapshot!(
            refusal(Algorithm::EdDSA, Some(&keys(Algorithm::EdDSA).private), Some(keys(Algorithm::EdDSA).public)),
            @"AUTH_JWT_PUBLIC_KEY is not the public half of AUTH_JWT_PRIVATE_KEY"
        );
        insta::assert_snapshot!(refusal(Algorithm::HS256, None, None), @"AUTH_JWT_SECRET must be set for HS256");
    }
}
