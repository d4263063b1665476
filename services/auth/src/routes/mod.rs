//! The endpoints. Each module is one, with its request, its answer, its errors and its tests.

mod client;
mod jwks;
mod refusal;
mod register;
mod token;
mod verify;

use std::sync::Arc;

use axum::{
    extract::FromRef,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
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

pub(crate) use self::refusal::Refusals;
use self::refusal::{Reason, too_many_attempts};
use crate::{
    attempts::Attempts,
    domain::{Account, PasswordError, PasswordPolicy, Passwords, Tokens},
};

/// What the handlers use.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) refusals: Refusals,
    /// Whether `X-Forwarded-For` says who the client is.
    pub(crate) trust_proxy: bool,
    pub(crate) password_policy: PasswordPolicy,
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
        .with(too_many_attempts())
}

/// What a client is told when its password was not hashed.
fn not_hashed(error: PasswordError, refusals: &Refusals) -> Problem {
    match error {
        PasswordError::Busy => {
            refusals.count(Reason::Busy);
            too_many_attempts()
        }
        error => Problem::internal(error),
    }
}
