//! `GET /.well-known/jwks.json`

use axum::{extract::State, response::IntoResponse};
use http::header;
use jsonwebtoken::jwk::Jwk;
use serde::Serialize;
use shop_runtime::http::{Json, Problems};
use utoipa::ToSchema;

use crate::app::App;

/// A JWK Set (RFC 7517, section 5).
#[derive(Serialize, ToSchema)]
struct KeySet {
    /// Empty if tokens are signed with a shared secret: then there is no key to publish.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Jwk>,
}

/// Lists the keys for verifying tokens
///
/// The `kid` in a token's header names its key.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jwks",
    tag = "auth",
    responses((status = 200, description = "The public keys", body = KeySet), Problems<()>)
)]
pub(super) async fn handle(State(app): State<App>) -> impl IntoResponse {
    let keys = app.tokens.public_keys().to_vec();
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(KeySet { keys }))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{
        Algorithm, DecodingKey,
        jwk::{Jwk, JwkSet},
    };
    use shop_runtime::auth::TokenVerifier;

    use crate::testing::{keys, on_each_database, on_sqlite_with};

    #[tokio::test]
    async fn a_shared_secret_publishes_no_key() {
        on_each_database(async |auth| {
            let response = auth.client.get(auth.url("/.well-known/jwks.json")).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), r#"{"keys":[]}"#);
        })
        .await;
    }

    #[tokio::test]
    async fn a_stranger_verifies_a_token_with_the_published_key() {
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let private = keys(algorithm).private;
            let configure = |config: &mut crate::Config| {
                config.tokens.jwt_algorithm = algorithm;
                config.tokens.jwt_secret = None;
                config.jwt_private_key = Some(private);
            };
            on_sqlite_with(configure, async |auth| {
                let token = auth.token("user@example.com").await;
                assert_eq!(auth.verify(&token).await.status(), 200);
                let response = auth.client.get(auth.url("/.well-known/jwks.json")).send().await.unwrap();
                let published: JwkSet = response.json().await.unwrap();
                let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
                let key: &Jwk = published.find(&kid).unwrap();
                let verifier = TokenVerifier::with_keys(DecodingKey::from_jwk(key), algorithm);
                assert!(verifier.verify(&token).is_ok());
            })
            .await;
        }
    }
}
