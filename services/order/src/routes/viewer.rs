use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use shop_runtime::{auth::Caller, http::Problem};

use super::App;
use crate::domain::{Account, Viewer};

/// Whom the request's token names; without a token a guest, if there are guests.
impl FromRequestParts<App> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = <Caller as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await?;
        let Some(caller) = caller else {
            return if app.guest_checkout {
                Ok(Self::Guest)
            } else {
                Err(Problem::unauthorized("Send a token: `Authorization: Bearer <token>`."))
            };
        };
        let is_admin = caller.is_admin();
        let account = Account { id: caller.id, email: caller.email };
        Ok(if is_admin { Self::Admin(account) } else { Self::Customer(account) })
    }
}
