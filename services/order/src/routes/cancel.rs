use axum::extract::State;
use http::StatusCode;
use shop_core::{OrderId, OrderStatus};
use shop_runtime::http::{Json, Path, Problem, Responses};
use utoipa::IntoResponses;

use super::{
    App,
    find::{One, no_such_order, problems_of_one},
    representation::OrderBody,
    viewer::ViewerOfOne,
};
use crate::{domain::NotCancellable, store::Cancellation};

pub(super) struct CancelProblems;

impl IntoResponses for CancelProblems {
    fn responses() -> Responses {
        problems_of_one().with(not_cancellable(NotCancellable(OrderStatus::Confirmed))).responses()
    }
}

/// Cancels a pending order
///
/// Idempotent: an order that is cancelled already is answered as it is, with 200, and announced no second time.
#[utoipa::path(
    post,
    path = "/orders/{id}/cancel",
    tag = "orders",
    params(One),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = OrderBody, description = "The order is cancelled, now or before"),
        CancelProblems,
    )
)]
pub(super) async fn cancel(
    State(app): State<App>,
    ViewerOfOne(viewer): ViewerOfOne,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    match app.store.cancel(&viewer, id).await?.ok_or_else(no_such_order)? {
        Cancellation::Cancelled(order) => {
            app.metrics.cancelled.inc();
            tracing::info!(order = %order.id, "an order was cancelled");
            Ok(Json(OrderBody::from(&order)))
        }
        Cancellation::AlreadyCancelled(order) => Ok(Json(OrderBody::from(&order))),
        Cancellation::Refused(refusal) => Err(not_cancellable(refusal)),
    }
}

fn not_cancellable(refusal: NotCancellable) -> Problem {
    Problem::new(StatusCode::CONFLICT, "not-cancellable", "The order cannot be cancelled")
        .detail(refusal.to_string())
        .with("order_status", refusal.0.as_str())
}
