use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use serde::Serialize;
use shop_core::{Money, OrderId};
use shop_runtime::{
    auth::Admin,
    http::{Documented, Problem, Problems, Query},
};
use utoipa::ToSchema;

use super::page::Page;
use crate::{
    app::App,
    provider::simulated::{Books, Charge, ChargeState},
};

/// A charge in the simulated provider's books.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimulatedCharge)]
struct Body {
    /// The key of the call that made it.
    idempotency_key: String,
    /// The order.
    order_id: OrderId,
    /// What was charged, or should have been.
    amount: Money,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    currency: String,
    /// What became of it.
    state: ChargeState,
    /// When it was made.
    created_at: DateTime<Utc>,
}

/// Lists the simulated provider's charges, of the newest order first
///
/// These are the provider's own books, to compare them with the payments.
#[utoipa::path(
    get,
    path = "/simulated/charges",
    tag = "simulated provider",
    params(Page),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<Body>, description = "A page of charges", headers(
            ("Link" = String, description = "The next page, `rel=\"next\"`, if there is one")
        )),
        Problems<(DbErr, Admin, Page, NotSimulated)>,
    )
)]
pub(super) async fn charges(
    State(app): State<App>,
    _: Admin,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let books = NotSimulated::books(&app)?;
    let wanted = page.checked()?;
    let charges = books.list(wanted.order_id, wanted.after.map(OrderId), wanted.to_read()).await?;
    let entries: Vec<_> = charges.into_iter().map(Body::from).collect();
    wanted.response("/simulated/charges", entries, |charge| charge.order_id.0)
}

/// 404: the provider is a real one.
pub(super) struct NotSimulated;

impl NotSimulated {
    /// The books of the simulated provider.
    pub(super) fn books(app: &App) -> Result<&Books, Self> {
        app.books.as_ref().ok_or(Self)
    }
}

impl From<NotSimulated> for Problem {
    fn from(NotSimulated: NotSimulated) -> Self {
        Self::not_found("The payment provider is not the simulated one.")
    }
}

impl Documented for NotSimulated {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}

impl From<Charge> for Body {
    fn from(charge: Charge) -> Self {
        let Charge { idempotency_key, order_id, amount, currency, state, created_at } = charge;
        Self { idempotency_key, order_id, amount, currency: currency.to_string(), state, created_at }
    }
}
