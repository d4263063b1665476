//! `POST /auth/token`

use axum::extract::{FromRequest, Request, State};
use http::{HeaderValue, StatusCode, header};
use sea_orm::DbErr;
use serde::Deserialize;
use shop_core::Email;
use shop_runtime::http::{Documented, Form, Json, Problem, Problems};
use utoipa::ToSchema;

use super::{
    client::Asking,
    refusal::{TooManyAttempts, examples_of_a_body, not_hashed},
    token_response::TokenResponse,
};
use crate::{
    app::App,
    attempts::Throttled,
    domain::{Account, Client, Password, Verdict},
    refusals::Reason,
    store,
};

/// The account, and its password.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Credentials {
    email: Email,
    password: Password,
}

/// The same, as an OAuth2 password grant (RFC 6749, section 4.3) sends it; its other fields are ignored.
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

impl Documented for Credentials {
    fn examples() -> Vec<Problem> {
        examples_of_a_body::<Self>()
    }
}

/// 401: the response to an unknown address and to a wrong password is the same.
pub(super) struct BadCredentials;

impl From<BadCredentials> for Problem {
    fn from(BadCredentials: BadCredentials) -> Self {
        let title = "The e-mail address or the password is wrong";
        Self::new(StatusCode::UNAUTHORIZED, "bad-credentials", title)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }
}

impl Documented for BadCredentials {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}

/// Logs in
///
/// Takes JSON, or the form of an OAuth2 password grant. Clients that also send the last token of the same account, valid or expired
/// for up to 90 days, are not slowed down by strangers' wrong passwords.
#[utoipa::path(
    post,
    path = "/auth/token",
    operation_id = "token",
    tag = "auth",
    security((), ("bearer" = [])),
    request_body(content(
        (Credentials = "application/json"),
        (PasswordGrant = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "A token", body = TokenResponse),
        Problems<(DbErr, Credentials, TooManyAttempts, BadCredentials)>,
    )
)]
pub(super) async fn handle(
    State(app): State<App>,
    asking: Asking,
    credentials: Credentials,
) -> Result<TokenResponse, Problem> {
    let client = asking.for_account_of(&credentials.email, &app.verifier);
    let attempt = app.attempts.begin(&credentials.email, &client).await.map_err(|Throttled| {
        app.refusals.count(Reason::Attempts);
        Problem::from(TooManyAttempts)
    })?;
    match authenticate(&app, credentials, &client).await {
        Ok(Some(account)) => {
            app.attempts.succeeded(attempt).await;
            Ok(TokenResponse::issue(&app, &account)?)
        }
        Ok(None) => Err(BadCredentials.into()),
        Err(problem) => {
            app.attempts.undone(attempt).await;
            Err(problem)
        }
    }
}

/// The account with this password.
async fn authenticate(
    app: &App,
    Credentials { email, password }: Credentials,
    client: &Client,
) -> Result<Option<Account>, Problem> {
    let (account, hash) = store::find(&app.database, &email).await?.unzip();
    let checked = app.passwords.check(password, hash.clone(), client).await;
    let verdict = checked.map_err(|error| not_hashed(error, &app.refusals))?;
    let (Verdict::Right { rehashed }, Some(account), Some(hash)) = (verdict, account, hash) else {
        return Ok(None);
    };
    if let Some(rehashed) = rehashed {
        store::replace_password_hash(&app.database, account.id, &hash, &rehashed).await?;
        tracing::info!(account = %account.id, "the password's hash was updated");
    }
    Ok(Some(account))
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version, password_hash::phc::PasswordHash};
    use chrono::TimeDelta;
    use futures_util::future::{join, join_all};
    use secrecy::ExposeSecret as _;
    use serde_json::json;
    use shop_core::UserId;
    use shop_runtime::database;

    use crate::{
        Config, SCHEMA,
        domain::Account,
        store,
        testing::{on_each_database, on_sqlite_with, problem, snapshot},
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
                  "title": "Too many login attempts",
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

    fn behind_a_proxy(config: &mut Config) {
        config.trust_proxy = true;
    }

    #[tokio::test]
    async fn a_locked_out_owner_has_a_device_or_another_place_to_log_in_from() {
        on_sqlite_with(behind_a_proxy, async |auth| {
            let token = auth.token("user@example.com").await;
            let foreign = auth.token("other@example.com").await;
            let login = async |client: &str, device: Option<&str>| {
                auth.login_as(client, device, "user@example.com", "password123").await.status()
            };
            for _ in 0..10 {
                auth.login_as("192.0.2.1", None, "user@example.com", "wrong").await;
            }
            assert_eq!(login("192.0.2.1", None).await, 429);
            assert_eq!(login("192.0.2.1", Some(&foreign)).await, 429, "a token of another account");
            assert_eq!(login("192.0.2.1", Some("x.y.z")).await, 429);
            assert_eq!(login("192.0.2.1", Some(&token)).await, 200);
            assert_eq!(login("192.0.2.2", None).await, 200);
            assert_eq!(login("192.0.2.1", None).await, 429, "nobody else's failures are forgiven");
            for _ in 0..10 {
                auth.login_as("192.0.2.3", Some(&token), "user@example.com", "wrong").await;
            }
            assert_eq!(
                login("192.0.2.3", Some(&token)).await,
                429,
                "a stolen token guesses no more than anybody"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn without_a_trusted_proxy_nobody_chooses_who_he_is() {
        on_sqlite_with(
            |_| {},
            async |auth| {
                for number in 0..10 {
                    auth.login_as(&format!("192.0.2.{number}"), None, "user@example.com", "wrong").await;
                }
                let more = auth.login_as("192.0.2.99", None, "user@example.com", "wrong").await;
                assert_eq!(more.status(), 429);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_flood_from_one_client_leaves_the_others_their_logins() {
        on_sqlite_with(behind_a_proxy, async |auth| {
            let token = auth.token("user@example.com").await;
            let token = token.as_str();
            let flood = (0..400).map(|number| async move {
                let email = format!("nobody{number}@example.com");
                auth.login_as("192.0.2.1", None, &email, "wrong").await.status().as_u16()
            });
            let others = (0..20).map(|number| async move {
                let (client, device) = (format!("198.51.100.{number}"), (number % 7 == 0).then_some(token));
                auth.login_as(&client, device, "user@example.com", "password123").await.status().as_u16()
            });
            let (flood, others) = join(join_all(flood), join_all(others)).await;
            assert!(flood.contains(&429) && flood.contains(&401), "{flood:?}");
            let succeeded = others.iter().filter(|status| **status == 200).count();
            assert!(succeeded >= 19, "{others:?}");
            let metrics = auth.client.get(auth.url("/metrics")).send().await.unwrap().text().await.unwrap();
            assert!(metrics.contains(r#"auth_refusals_total{reason="Busy"}"#), "{metrics}");
        })
        .await;
    }

    #[tokio::test]
    async fn busy_and_throttled_are_one_answer() {
        on_sqlite_with(behind_a_proxy, async |auth| {
            for _ in 0..10 {
                auth.login_as("192.0.2.1", None, "user@example.com", "wrong").await;
            }
            let throttled = auth.login_as("192.0.2.1", None, "user@example.com", "wrong").await;
            let flood = (0..400).map(|number| async move {
                auth.login_as("192.0.2.2", None, &format!("nobody{number}@example.com"), "wrong").await
            });
            let busy = join_all(flood).await.into_iter().find(|answer| answer.status() != 401).unwrap();
            let mut answers = Vec::new();
            for answer in [throttled, busy] {
                let mut headers = answer.headers().clone();
                headers.remove("date");
                answers.push((answer.status(), headers, snapshot(&problem(answer).await)));
            }
            assert_eq!(answers[0], answers[1]);
        })
        .await;
    }

    #[tokio::test]
    async fn both_spellings_of_an_address_and_of_a_password_are_one() {
        on_each_database(async |auth| {
            let registered = auth.register("User@почта.рф", "кофе\u{439}ня é").await;
            assert_eq!(registered.status(), 201);
            let ascii = "user@xn--80a1acny.xn--p1ai";
            for email in [ascii, "user@ПОЧТА.РФ"] {
                for password in ["кофе\u{439}ня é", "кофеи\u{306}ня\u{a0}e\u{301}"] {
                    assert_eq!(auth.login(email, password).await.status(), 200, "{email} {password}");
                }
                assert_eq!(auth.register(email, "another password").await.status(), 409);
            }
            let token: serde_json::Value = auth.login(ascii, "кофе\u{439}ня é").await.json().await.unwrap();
            let me = auth.verify(token["access_token"].as_str().unwrap()).await;
            assert_eq!(me.json::<serde_json::Value>().await.unwrap()["email"], ascii);
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
