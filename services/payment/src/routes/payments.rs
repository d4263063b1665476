use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use serde::Serialize;
use shop_core::{Email, Money, OrderId, PaymentId};
use shop_runtime::{
    auth::Admin,
    http::{Problem, Problems, Query},
};
use utoipa::ToSchema;

use super::page::Page;
use crate::{
    app::App,
    domain::{self, Payment},
};

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
struct Body {
    /// Its id, a UUIDv7.
    id: PaymentId,
    /// The order, which has at most one payment.
    order_id: OrderId,
    /// The customer's address.
    customer_email: Email,
    /// What is charged.
    amount: Money,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    currency: String,
    /// What is known of it.
    state: StateBody,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who charges it.
    #[schema(examples("simulated", "stripe"))]
    provider: String,
    /// How many calls to the provider have begun.
    attempts: u32,
    /// When it was opened.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

/// What is known of a payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentState)]
#[serde(rename_all = "lowercase")]
enum StateBody {
    /// Not decided yet.
    Pending,
    /// The customer is charged.
    Processed,
    /// The customer is not charged, and the order was told so.
    Failed,
    /// The order was cancelled before the customer was charged.
    Cancelled,
    /// The customer is charged, and gets the money back.
    Refunding,
    /// The customer has got the money back.
    Refunded,
}

/// Lists payments, newest first
#[utoipa::path(
    get,
    path = "/payments",
    tag = "payments",
    params(Page),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<Body>, description = "A page of payments", headers(
            ("Link" = String, description = "The next page, `rel=\"next\"`, if there is one")
        )),
        Problems<(DbErr, Admin, Page)>,
    )
)]
pub(super) async fn payments(
    State(app): State<App>,
    _: Admin,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let wanted = page.checked()?;
    let payments = app.store.list(wanted.order_id, wanted.after.map(PaymentId), wanted.to_read()).await?;
    let entries: Vec<_> = payments.into_iter().map(Body::from).collect();
    wanted.response("/payments", entries, |payment| payment.id.0)
}

impl From<Payment> for Body {
    fn from(payment: Payment) -> Self {
        Self {
            id: payment.id,
            order_id: payment.order_id,
            customer_email: payment.customer_email,
            amount: payment.amount,
            currency: payment.currency.to_string(),
            state: payment.state.into(),
            reason: payment.reason,
            provider: payment.provider,
            attempts: payment.attempts,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

impl From<domain::State> for StateBody {
    fn from(state: domain::State) -> Self {
        match state {
            domain::State::Pending => Self::Pending,
            domain::State::Processed => Self::Processed,
            domain::State::Failed => Self::Failed,
            domain::State::Cancelled => Self::Cancelled,
            domain::State::Refunding => Self::Refunding,
            domain::State::Refunded => Self::Refunded,
        }
    }
}
