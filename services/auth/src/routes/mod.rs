//! The endpoints. Each module is one, with its request, its answer, its errors and its tests.

mod jwks;
mod register;
mod token;
mod verify;

use std::sync::Arc;

use axum::{
    extract::FromRef,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use shop_core::Clock;
use shop_runtime::{
    auth::TokenVerifier,
    database::Database,
    http::{Json, Problem, ProblemBody, Problems},
};
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::domain::{Account, Attempts, PasswordError, Passwords, Tokens};

/// What the handlers use.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) verifier: TokenVerifier,
}

impl FromRef<AppState> for TokenVerifier {
    fn from_ref(state: &AppState) -> Self {
        state.verifier.clone()
    }
}

/// The routes and their description.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(register::handle))
        .routes(routes!(token::handle))
        .routes(routes!(verify::handle))
        .routes(routes!(jwks::handle))
}

#[derive(OpenApi)]
#[openapi(components(schemas(ProblemBody)), modifiers(&Bearer))]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        api.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// A token, as RFC 6749 (section 5.1) spells it. Has no `Debug`: a token is a secret.
#[derive(Serialize, ToSchema)]
struct TokenResponse {
    /// The JWT, for `Authorization: Bearer …`.
    access_token: String,
    #[schema(examples("bearer"))]
    token_type: &'static str,
    /// How long it is valid, in seconds.
    #[schema(examples(3600))]
    expires_in: i64,
}

impl TokenResponse {
    fn issue(state: &AppState, account: &Account) -> anyhow::Result<Self> {
        Ok(Self {
            access_token: state.tokens.issue(account, &state.clock)?,
            token_type: "bearer",
            expires_in: state.tokens.lifetime().num_seconds(),
        })
    }
}

impl IntoResponse for TokenResponse {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(self)).into_response()
    }
}

/// Of a request with an address and a password.
fn problems_of_passwords() -> Problems {
    Problems::of_every_request()
        .with_database()
        .with_body()
        .with(Problem::invalid("/email", shop_core::InvalidEmail.to_string()))
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => {
                tracing::warn!("a password was not checked: the queue is full");
                Self::unavailable("Too many people are logging in at once.", 2)
            }
            error => Self::internal(error),
        }
    }
}

/// 429, for too many wrong passwords; `retry_after` is in seconds.
fn too_many_attempts(retry_after: u64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-attempts",
        "Too many wrong passwords for this e-mail address",
    )
    .detail(format!("Try again in {retry_after} seconds."))
    .header(header::RETRY_AFTER, HeaderValue::from(retry_after))
}
