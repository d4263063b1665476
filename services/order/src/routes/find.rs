use axum::extract::State;
use sea_orm::DbErr;
use shop_core::OrderId;
use shop_runtime::http::{Json, Path, Problem, Problems};

use super::{
    one::{NoSuchOrder, One},
    representation::LifeBody,
    viewer::ViewerOfOne,
};
use crate::app::App;

/// Returns an order, and what has happened to it
///
/// An account's order needs its owner's access token, a guest's order its order token.
#[utoipa::path(
    get,
    path = "/orders/{id}",
    tag = "orders",
    params(One),
    security(("bearer" = []), ()),
    responses((status = 200, body = LifeBody, description = "The order"), Problems<(DbErr, ViewerOfOne, NoSuchOrder)>)
)]
pub(super) async fn find(
    State(app): State<App>,
    ViewerOfOne(viewer): ViewerOfOne,
    Path(id): Path<OrderId>,
) -> Result<Json<LifeBody>, Problem> {
    let life = app.store.life(&viewer, id).await?.ok_or(NoSuchOrder)?;
    Ok(Json(LifeBody::from(&life)))
}
