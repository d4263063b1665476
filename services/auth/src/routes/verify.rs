//! `GET /auth/verify`

use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_core::{Email, UserId};
use shop_runtime::{
    auth::{Caller, Role},
    http::{Json, Problems},
};
use utoipa::ToSchema;

/// The bearer of a token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Identity {
    id: UserId,
    email: Email,
    roles: Vec<Role>,
    /// When the token expires.
    expires_at: DateTime<Utc>,
}

/// Verifies a token
///
/// Returns what the token says, if it is valid.
#[utoipa::path(
    get,
    path = "/auth/verify",
    operation_id = "verify",
    tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The token is valid", body = Identity),
        Problems<Caller>,
    )
)]
pub(super) async fn handle(caller: Caller) -> Json<Identity> {
    let Caller { id, email, roles, expires_at } = caller;
    Json(Identity { id, email, roles, expires_at })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::{Value, json};

    use crate::testing::{SECRET, on_each_database, problem, snapshot};

    fn sign(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    #[tokio::test]
    async fn a_valid_token_says_whose_it_is_and_until_when() {
        on_each_database(async |auth| {
            let token = auth.token("user@example.com").await;
            let me: Value = auth.verify(&token).await.json().await.unwrap();
            assert_eq!(me["email"], "user@example.com");
            let expires: chrono::DateTime<chrono::Utc> = me["expires_at"].as_str().unwrap().parse().unwrap();
            let left = (expires - auth.clock.now()).num_seconds();
            assert!((3500..=3600).contains(&left), "{left}");
            let members: Vec<_> = me.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, ["email", "expires_at", "id", "roles"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_token_that_is_not_ours_is_a_401_problem() {
        on_each_database(async |auth| {
            let token = auth.token("user@example.com").await;
            let now = auth.clock.now().timestamp();
            let good = json!({
                "sub": "018bcfe5-6800-7000-8000-000000000000", "email": "user@example.com",
                "roles": ["admin"], "iat": now + 1, "exp": now + 60, "iss": "shop", "aud": "shop",
                "jti": "018bcfe5-6800-7000-8000-000000000001",
            });
            let with = |name: &str, value: Value| {
                let mut claims = good.clone();
                claims[name] = value;
                sign(Algorithm::HS256, SECRET, &claims)
            };
            assert_eq!(auth.verify(&with("exp", json!(now + 60))).await.status(), 200);

            let payload = token.split('.').nth(1).unwrap();
            for forged in [
                with("exp", json!(now - 60)),
                with("exp", json!("never")),
                with("exp", json!(-1)),
                with("exp", json!(1e300)),
                with("exp", Value::Null),
                with("exp", json!(now + 40 * 86_400)),
                with("iss", json!("elsewhere")),
                with("aud", json!("elsewhere")),
                with("aud", Value::Null),
                with("nbf", json!(now + 60)),
                with("iat", json!(now + 60)),
                with("sub", json!("1")),
                with("roles", json!(["root"])),
                sign(Algorithm::HS384, SECRET, &good),
                sign(Algorithm::HS256, "another secret of thirty-two bytes", &good),
                format!("eyJhbGciOiJub25lIn0.{payload}."),
                format!("eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0.{payload}."),
                format!("{token}x"),
                token.rsplit_once('.').unwrap().0.to_owned(),
                "..".to_owned(),
                "a.b.c".to_owned(),
                "x".repeat(5000),
                String::new(),
            ] {
                let response = auth.verify(&forged).await;
                assert_eq!(response.headers()["www-authenticate"], "Bearer", "{forged:.80}");
                assert_eq!(problem(response).await["status"], 401, "{forged:.80}");
            }
            let expired = problem(auth.verify(&with("exp", json!(now - 60))).await).await;
            insta::allow_duplicates! {
                insta::assert_snapshot!(snapshot(&expired), @r#"
                {
                  "detail": "The token has expired.",
                  "status": 401,
                  "title": "A valid token is needed",
                  "type": "https://shop.dev/problems/unauthorized"
                }
                "#);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn without_a_bearer_token_there_is_a_challenge() {
        on_each_database(async |auth| {
            for header in [None, Some("Basic dXNlcjpwYXNz"), Some("Bearer"), Some("bearer  ")] {
                let request = auth.client.get(auth.url("/auth/verify"));
                let request = match header {
                    Some(header) => request.header("authorization", header),
                    None => request,
                };
                let response = request.send().await.unwrap();
                assert_eq!(response.headers()["www-authenticate"], "Bearer");
                assert_eq!(problem(response).await["status"], 401, "{header:?}");
            }
        })
        .await;
    }
}
