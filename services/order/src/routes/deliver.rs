use axum::extract::State;
use http::StatusCode;
use sea_orm::DbErr;
use shop_core::{OrderId, OrderStatus};
use shop_runtime::{
    auth::Admin,
    http::{Documented, Json, Path, Problem, Problems},
};

use super::{moved::moved, one::NoSuchOrder, representation::LifeBody};
use crate::{
    app::App,
    domain::{NotDeliverable, Viewer},
};

/// Notes that a shipped order has reached the customer
///
/// For admins. Idempotent: an order that is already delivered is returned unchanged.
#[utoipa::path(
    post,
    path = "/orders/{id}/deliver",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order's id")),
    security(("bearer" = [])),
    responses(
        (status = 200, body = LifeBody, description = "The order is delivered"),
        Problems<(DbErr, Admin, NoSuchOrder, NotDeliverable)>,
    )
)]
pub(super) async fn deliver(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<OrderId>,
) -> Result<Json<LifeBody>, Problem> {
    let outcome = app.store.deliver(&Viewer::from(admin), id).await?;
    Ok(moved(&app, outcome.ok_or(NoSuchOrder)?)?)
}

impl From<NotDeliverable> for Problem {
    fn from(refusal: NotDeliverable) -> Self {
        Self::new(StatusCode::CONFLICT, "not-deliverable", "The order cannot be delivered")
            .detail(refusal.to_string())
            .with("order_status", refusal.0.as_str())
    }
}

impl Documented for NotDeliverable {
    fn examples() -> Vec<Problem> {
        vec![Self(OrderStatus::Confirmed).into()]
    }
}
