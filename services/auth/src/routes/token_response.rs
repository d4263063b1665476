use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use shop_runtime::http::Json;
use utoipa::ToSchema;

use crate::{app::App, domain::Account};

/// A token, as RFC 6749 (section 5.1) spells it. Has no `Debug`: a token is a secret.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenResponse {
    /// The JWT, for `Authorization: Bearer …`.
    access_token: String,
    #[schema(examples("bearer"))]
    token_type: &'static str,
    /// How long it is valid, in seconds.
    #[schema(examples(3600))]
    expires_in: i64,
}

impl TokenResponse {
    /// A new token for `account`.
    pub(super) fn issue(app: &App, account: &Account) -> anyhow::Result<Self> {
        Ok(Self {
            access_token: app.tokens.issue(account, &app.clock)?,
            token_type: "bearer",
            expires_in: app.tokens.lifetime().num_seconds(),
        })
    }
}

impl IntoResponse for TokenResponse {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(self)).into_response()
    }
}
