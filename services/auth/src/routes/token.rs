//! `POST /auth/token`

use axum::extract::{FromRequest, Request, State};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use shop_core::Email;
use shop_runtime::http::{Form, Json, Problem, Responses};
use utoipa::{IntoResponses, ToSchema};

use super::{AppState, TokenResponse, problems_of_passwords, too_many_attempts};
use crate::{
    domain::{Account, Password, Verdict},
    store,
};

/// Who logs in, and the proof.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Credentials {
    email: Email,
    password: Password,
}

/// The same as an OAuth2 password grant (RFC 6749, section 4.3) sends it; its other fields are not looked at.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct PasswordGrant {
    username: Email,
    password: Password,
}

impl<S: Send + Sync> FromRequest<S> for Credentials {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if Form::<PasswordGrant>::is_content_of(request.headers()) {
            let Form(PasswordGrant { username, password }) = Form::from_request(request, state).await?;
            Ok(Self { email: username, password })
        } else {
            let Json(credentials) = Json::from_request(request, state).await?;
            Ok(credentials)
        }
    }
}

pub(super) struct TokenProblems;

impl IntoResponses for TokenProblems {
    fn responses() -> Responses {
        problems_of_passwords().with(bad_credentials()).with(too_many_attempts(30)).responses()
    }
}

/// Log in
///
/// Takes JSON, or the form of an OAuth2 password grant.
#[utoipa::path(
    post,
    path = "/auth/token",
    operation_id = "token",
    tag = "auth",
    request_body(content(
        (Credentials = "application/json"),
        (PasswordGrant = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "A token", body = TokenResponse),
        TokenProblems,
    )
)]
pub(super) async fn handle(
    State(state): State<AppState>,
    credentials: Credentials,
) -> Result<TokenResponse, Problem> {
    let attempt = state.attempts.begin(&credentials.email, state.clock.now()).map_err(|throttled| {
        tracing::warn!("a login was refused: too many wrong passwords for its e-mail address");
        too_many_attempts(throttled.retry_after.as_secs())
    })?;
    let Some(account) = authenticate(&state, credentials).await? else {
        attempt.failed();
        return Err(bad_credentials());
    };
    attempt.succeeded();
    Ok(TokenResponse::issue(&state, &account)?)
}

/// The account whose password this is.
async fn authenticate(
    state: &AppState,
    Credentials { email, password }: Credentials,
) -> Result<Option<Account>, Problem> {
    let (account, hash) = store::find(&state.database, &email).await?.unzip();
    let verdict = state.passwords.check(password, hash.clone()).await?;
    let (Verdict::Right { rehashed }, Some(account), Some(hash)) = (verdict, account, hash) else {
        return Ok(None);
    };
    if let Some(rehashed) = rehashed {
        store::replace_password_hash(&state.database, account.id, &hash, &rehashed).await?;
        tracing::info!(account = %account.id, "the password's hash was brought up to date");
    }
    Ok(Some(account))
}

fn bad_credentials() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "bad-credentials", "The e-mail address or the password is wrong")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version, password_hash::phc::PasswordHash};
    use chrono::TimeDelta;
    use secrecy::ExposeSecret as _;
    use serde_json::json;
    use shop_core::UserId;
    use shop_runtime::database;

    use crate::{
        SCHEMA,
        domain::Account,
        store,
        testing::{on_each_database, problem, snapshot},
    };

    const FORM: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn json_and_the_oauth2_form_log_in_alike() {
        on_each_database(async |auth| {
            auth.register("user@example.com", "password 123+&").await;
            let json = auth.login("USER@example.com", "password 123+&").await;
            assert_eq!(json.status(), 200);
            assert_eq!(json.headers()["cache-control"], "no-store");
            let form = "grant_type=password&username=user%40example.com&password=password+123%2B%26&scope=";
            let form = auth.post("/auth/token", &format!("{FORM}; charset=UTF-8"), form).await;
            assert_eq!(form.status(), 200);
            let body: serde_json::Value = form.json().await.unwrap();
            assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(3600)));
        })
        .await;
    }

    #[tokio::test]
    async fn an_unknown_address_and_a_wrong_password_are_answered_alike_for_the_same_work() {
        on_each_database(async |auth| {
            auth.register("user@example.com", "password123").await;
            let mut answers = Vec::new();
            for email in ["user@example.com", "nobody@example.com"] {
                let before = auth.password_hashes().await;
                let response = auth.login(email, "password124").await;
                assert_eq!(response.headers()["www-authenticate"], "Bearer");
                let work = auth.password_hashes().await - before;
                answers.push((work, snapshot(&problem(response).await)));
            }
            assert_eq!(answers[0], answers[1]);
            assert_eq!(answers[0].0, 1);
            insta::allow_duplicates! {
                insta::assert_snapshot!(answers[0].1, @r#"
                {
                  "status": 401,
                  "title": "The e-mail address or the password is wrong",
                  "type": "https://shop.dev/problems/bad-credentials"
                }
                "#);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn guessing_is_slowed_down_and_told_when_to_try_again() {
        on_each_database(async |auth| {
            auth.register("user@example.com", "password123").await;
            for _ in 0..10 {
                assert_eq!(auth.login("user@example.com", "wrong").await.status(), 401);
            }
            let before = auth.password_hashes().await;
            let throttled = auth.login("user@example.com", "password123").await;
            assert_eq!(throttled.headers()["retry-after"], "30");
            let throttled = problem(throttled).await;
            insta::allow_duplicates! {
                insta::assert_snapshot!(snapshot(&throttled), @r#"
                {
                  "detail": "Try again in 30 seconds.",
                  "status": 429,
                  "title": "Too many wrong passwords for this e-mail address",
                  "type": "https://shop.dev/problems/too-many-attempts"
                }
                "#);
            }
            assert_eq!(auth.password_hashes().await, before, "a refused try costs no work");
            auth.clock.advance(TimeDelta::seconds(30));
            assert_eq!(auth.login("user@example.com", "password123").await.status(), 200);
        })
        .await;
    }

    #[tokio::test]
    async fn a_login_brings_an_old_hash_up_to_date() {
        on_each_database(async |auth| {
            let database = database::connect(&auth.database_url, SCHEMA).await.unwrap();
            let email: shop_core::Email = "user@example.com".parse().unwrap();
            let account = Account { id: UserId(auth.clock.new_id()), email, admin: false };
            let old = Params::new(8 * 1024, 1, 1, None).unwrap();
            let old = Argon2::new(Algorithm::Argon2id, Version::V0x13, old);
            let old: PasswordHash = old.hash_password(b"password123").unwrap();
            let old = old.to_string().into();
            store::insert(&database, &account, &old, auth.clock.now()).await.unwrap();

            assert_eq!(auth.login("user@example.com", "password123").await.status(), 200);
            let (_, hash) = store::find(&database, &account.email).await.unwrap().unwrap();
            assert!(hash.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
            assert_eq!(auth.login("user@example.com", "password123").await.status(), 200);
            database.connection().clone().close().await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_no_login_is_a_4xx_problem() {
        on_each_database(async |auth| {
            let huge = format!("username=a@example.com&password={}", "x".repeat(1 << 20));
            let json = "application/json";
            for (content_type, body, status) in [
                (json, "{", 400),
                (json, r#"{"email":"a@example.com","password":"\u0000"}"#, 400),
                (json, r#"{"email":"a@example.com","password":5}"#, 422),
                (json, r#"{"email":{},"password":"x"}"#, 422),
                (json, r#"{"username":"a@example.com","password":"x"}"#, 422),
                (FORM, "", 422),
                (FORM, "username=nobody&password=x", 422),
                (FORM, "username=a@example.com&password=%00", 400),
                (FORM, "username=a@example.com&password=\0", 400),
                (FORM, "email=a@example.com&password=x", 422),
                (FORM, "username=a@example.com&password=%FF%FE", 401),
                (FORM, huge.as_str(), 413),
                ("multipart/form-data", "username=a@example.com&password=x", 415),
                ("", r#"{"email":"a@example.com","password":"x"}"#, 415),
            ] {
                let answer = problem(auth.post("/auth/token", content_type, body).await).await;
                assert_eq!(answer["status"], status, "{content_type}: {body:.60}");
            }
        })
        .await;
    }
}
