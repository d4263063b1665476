use axum::extract::State;
use http::StatusCode;
use shop_core::OrderId;
use shop_runtime::http::{Json, Path, Problem, ProblemBody};

use super::{App, find::no_such_order, representation::OrderBody};
use crate::{
    domain::{NotCancellable, Viewer},
    store::Cancellation,
};

/// Cancels a pending order
///
/// Idempotent: an order that is cancelled already is answered as it is, with 200, and announced no second time.
#[utoipa::path(
    post,
    path = "/orders/{id}/cancel",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order's id")),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = OrderBody, description = "The order is cancelled, now or before"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "A valid token is needed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "There is no such order for the caller"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`not-cancellable`: the order is confirmed"),
    )
)]
pub(super) async fn cancel(
    State(app): State<App>,
    viewer: Viewer,
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
