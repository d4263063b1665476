use axum::extract::State;
use http::StatusCode;
use sea_orm::DbErr;
use shop_core::{OrderId, OrderStatus};
use shop_runtime::http::{Documented, Json, Path, Problem, Problems};

use super::{
    moved::moved,
    one::{NoSuchOrder, One},
    representation::LifeBody,
    viewer::ViewerOfOne,
};
use crate::{app::App, domain::NotCancellable};

/// Cancels an order that has not been shipped
///
/// What was reserved or charged for it is given back. Idempotent: an order that is already cancelled is returned unchanged, with 200, and no second event is published.
#[utoipa::path(
    post,
    path = "/orders/{id}/cancel",
    tag = "orders",
    params(One),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = LifeBody, description = "The order is cancelled"),
        Problems<(DbErr, ViewerOfOne, NoSuchOrder, NotCancellable)>,
    )
)]
pub(super) async fn cancel(
    State(app): State<App>,
    ViewerOfOne(viewer): ViewerOfOne,
    Path(id): Path<OrderId>,
) -> Result<Json<LifeBody>, Problem> {
    let outcome = app.store.cancel(&viewer, id).await?.ok_or(NoSuchOrder)?;
    Ok(moved(&app, outcome)?)
}

impl From<NotCancellable> for Problem {
    fn from(refusal: NotCancellable) -> Self {
        Self::new(StatusCode::CONFLICT, "not-cancellable", "The order cannot be cancelled")
            .detail(refusal.to_string())
            .with("order_status", refusal.0.as_str())
    }
}

impl Documented for NotCancellable {
    fn examples() -> Vec<Problem> {
        vec![Self(OrderStatus::Shipped).into()]
    }
}
