use axum::extract::State;
use shop_core::OrderId;
use shop_runtime::http::{Json, Path, Problem, ProblemBody};

use super::{App, representation::OrderBody};
use crate::domain::Viewer;

/// Shows an order
#[utoipa::path(
    get,
    path = "/orders/{id}",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order's id")),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = OrderBody),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "A valid token is needed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "There is no such order for the caller"),
    )
)]
pub(super) async fn find(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    match app.store.find(&viewer, id).await? {
        Some(order) => Ok(Json(OrderBody::from(&order))),
        None => Err(no_such_order()),
    }
}

/// Says the same of an order of somebody else and of one that does not exist.
pub(super) fn no_such_order() -> Problem {
    Problem::not_found("There is no such order.")
}
