use axum::extract::State;
use http::StatusCode;
use sea_orm::DbErr;
use serde::Deserialize;
use shop_runtime::{
    auth::Admin,
    http::{Json, Path, Problem, Problems},
};
use utoipa::ToSchema;

use super::charges::NotSimulated;
use crate::{app::App, provider::simulated::Switch};

/// The position of a switch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// Whether it is on.
    on: bool,
}

/// Switches outages of the simulated provider on and off
///
/// `outage`: all calls are refused. `unavailable-amounts`: charges whose amount ends in 05 are refused, as they are at first. It holds for
/// all replicas, and until it is switched again.
#[utoipa::path(
    put,
    path = "/simulated/switches/{name}",
    tag = "simulated provider",
    params(("name" = inline(Switch), Path, description = "Which switch")),
    request_body = Position,
    security(("bearer" = [])),
    responses(
        (status = 204, description = "It is switched"),
        Problems<(DbErr, Admin, Json<Position>, NotSimulated)>,
    )
)]
pub(super) async fn switch(
    State(app): State<App>,
    _: Admin,
    Path(name): Path<Switch>,
    Json(position): Json<Position>,
) -> Result<StatusCode, Problem> {
    let books = NotSimulated::books(&app)?;
    books.switch(name, position.on).await?;
    tracing::info!(switch = name.as_str(), on = position.on, "the simulated provider was switched");
    Ok(StatusCode::NO_CONTENT)
}
