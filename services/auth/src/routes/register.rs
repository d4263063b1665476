//! `POST /auth/register`

use axum::extract::State;
use http::StatusCode;
use sea_orm::DbErr;
use serde::Deserialize;
use shop_core::{Email, UserId};
use shop_runtime::http::{Documented, Json, Problem, Problems};
use utoipa::ToSchema;

use super::{
    client::Asking,
    refusal::{TooManyAttempts, examples_of_a_body, not_hashed},
    token_response::TokenResponse,
};
use crate::{
    app::App,
    domain::{Account, NewPassword},
    store::{self, InsertError},
};

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Registration {
    email: Email,
    password: NewPassword,
}

impl Documented for Registration {
    fn examples() -> Vec<Problem> {
        examples_of_a_body::<Self>()
    }
}

impl Documented for InsertError {
    fn examples() -> Vec<Problem> {
        vec![Self::EmailTaken.into()]
    }
}

/// Registers an account
///
/// The response contains a token, so the person is logged in at once.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "auth",
    // Inline: some tools that register by themselves do not follow references.
    request_body = inline(Registration),
    responses(
        (status = 201, description = "The account was created", body = TokenResponse),
        Problems<(DbErr, Registration, TooManyAttempts, InsertError)>,
    )
)]
pub(super) async fn handle(
    State(app): State<App>,
    asking: Asking,
    Json(Registration { email, password }): Json<Registration>,
) -> Result<(StatusCode, TokenResponse), Problem> {
    let checked = app.password_policy.check(&password, &email);
    checked.map_err(|why| Problem::invalid("/password", why.to_string()))?;
    let hashed = app.passwords.hash(password, &asking.stranger()).await;
    let password_hash = hashed.map_err(|error| not_hashed(error, &app.refusals))?;
    let account = Account { id: UserId(app.clock.new_id()), email, admin: false };
    store::insert(&app.database, &account, &password_hash, app.clock.now()).await?;
    tracing::info!(account = %account.id, "registered");
    Ok((StatusCode::CREATED, TokenResponse::issue(&app, &account)?))
}

impl From<InsertError> for Problem {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::EmailTaken => {
                Self::new(StatusCode::CONFLICT, "email-taken", "This e-mail address already has an account")
                    .detail("Log in instead, or register another address.")
            }
            InsertError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use serde_json::json;

    use crate::{
        Config, PasswordPolicy,
        testing::{on_each_database, on_sqlite_with, problem, snapshot},
    };

    #[tokio::test]
    async fn a_person_registers_and_is_logged_in() {
        on_each_database(async |auth| {
            let response = auth.register(" User@Example.COM ", "password123").await;
            assert_eq!(response.status(), 201);
            assert_eq!(response.headers()["cache-control"], "no-store");
            let body: serde_json::Value = response.json().await.unwrap();
            assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(3600)));
            let me = auth.verify(body["access_token"].as_str().unwrap()).await;
            let me: serde_json::Value = me.json().await.unwrap();
            assert_eq!(me["email"], "user@example.com");
            assert_eq!(me["roles"], json!(["customer"]));
        })
        .await;
    }

    #[tokio::test]
    async fn of_twenty_who_register_an_address_at_once_one_gets_it() {
        on_each_database(async |auth| {
            let all =
                (0..20).map(|_| async { auth.register("user@example.com", "password123").await.status() });
            let statuses = join_all(all).await;
            assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 19, "{statuses:?}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_taken_address_is_a_conflict_in_whatever_case_it_is_written() {
        on_each_database(async |auth| {
            auth.register("user@example.com", "password123").await;
            let taken = problem(auth.register("USER@example.com", "another password").await).await;
            insta::allow_duplicates! {
                insta::assert_snapshot!(snapshot(&taken), @r#"
                {
                  "detail": "Log in instead, or register another address.",
                  "status": 409,
                  "title": "This e-mail address already has an account",
                  "type": "https://shop.dev/problems/email-taken"
                }
                "#);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn what_cannot_be_accepted_is_named_and_not_quoted() {
        on_each_database(async |auth| {
            let short = problem(auth.register("user@example.com", "sekret!").await).await;
            insta::allow_duplicates! {
                insta::assert_snapshot!(snapshot(&short), @r#"
                {
                  "detail": "a password must have 8 to 128 characters and no NUL",
                  "errors": [
                    {
                      "detail": "a password must have 8 to 128 characters and no NUL",
                      "pointer": "/password"
                    }
                  ],
                  "status": 422,
                  "title": "A value cannot be accepted",
                  "type": "https://shop.dev/problems/invalid-value"
                }
                "#);
            }
            for (body, status, pointer) in [
                (json!({"email": "nobody", "password": "password123"}), 422, Some("/email")),
                (json!({"email": 5, "password": "password123"}), 422, Some("/email")),
                (json!({"email": "a@example.com", "password": 1234567890}), 422, Some("/password")),
                (json!({"email": "a@example.com", "password": null}), 422, Some("/password")),
                (json!({"email": "a@example.com", "password": ["password123"]}), 422, Some("/password")),
                (json!({"email": "a@example.com", "password": "x".repeat(129)}), 422, Some("/password")),
                (json!({"email": "a@example.com", "password": " ".repeat(8)}), 422, Some("/password")),
                (json!({"email": "a@example.com", "password": "pass\tword"}), 422, Some("/password")),
                (json!({"email": "почта@example.com", "password": "password123"}), 422, Some("/email")),
                (json!({"email": "a@xn--a.com", "password": "password123"}), 422, Some("/email")),
                (json!({"email": "a@example.com"}), 422, Some("")),
                (json!([]), 422, Some("")),
                (json!({"email": "a\0@example.com", "password": "password123"}), 400, None),
                (json!({"email": "a@example.com", "password": "password\x00123"}), 400, None),
            ] {
                let answer = problem(auth.post_json("/auth/register", &body).await).await;
                assert_eq!(answer["status"], status, "{body}");
                assert_eq!(answer["errors"][0]["pointer"].as_str(), pointer, "{body}");
                assert!(!answer.to_string().contains("1234567890"), "{answer}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn the_strict_policy_refuses_what_is_guessed_first_and_says_why() {
        let strict = |config: &mut Config| config.password_policy = PasswordPolicy::Strict;
        on_sqlite_with(strict, async |auth| {
            for password in ["password123", "aaaaaaaa", "ivan.petrov", "        "] {
                let refused = problem(auth.register("ivan.petrov@example.com", password).await).await;
                assert_eq!(refused["errors"][0]["pointer"], "/password", "{password}");
            }
            let taken = auth.register("ivan.petrov@example.com", "correct horse battery staple").await;
            assert_eq!(taken.status(), 201);
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_no_request_at_all_is_a_4xx_problem() {
        on_each_database(async |auth| {
            let huge = format!(r#"{{"email":"a@example.com","password":"{}"}}"#, "x".repeat(1 << 20));
            let json = "application/json";
            for (content_type, body, status) in [
                (json, "", 400),
                (json, "{", 400),
                (json, r#"{"email":"a@example.com","password":"password123"} trailing"#, 400),
                (json, "\0", 400),
                ("text/plain", r#"{"email":"a@example.com","password":"password123"}"#, 415),
                ("application/x-www-form-urlencoded", "email=a@example.com&password=password123", 415),
                (json, huge.as_str(), 413),
            ] {
                let answer = problem(auth.post("/auth/register", content_type, body).await).await;
                assert_eq!(answer["status"], status, "{content_type}");
            }
        })
        .await;
    }
}
