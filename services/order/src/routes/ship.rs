use axum::extract::State;
use http::StatusCode;
use sea_orm::DbErr;
use serde::Deserialize;
use shop_core::{OrderId, OrderStatus};
use shop_runtime::{
    auth::Admin,
    http::{Documented, Json, Path, Problem, Problems},
};
use utoipa::ToSchema;

use super::{moved::moved, one::NoSuchOrder, representation::LifeBody};
use crate::{
    app::App,
    domain::{NotATrackingNumber, NotShippable, TrackingNumber, Viewer},
};

/// What is known about a parcel.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Shipment {
    /// The carrier's number of the parcel.
    #[schema(
        max_length = 64,
        pattern = "^[A-Za-z0-9 ._/-]*[A-Za-z0-9._/-][A-Za-z0-9 ._/-]*$",
        examples("RB123456789CN")
    )]
    tracking_number: Option<String>,
}

/// Notes that a confirmed order was handed to the carrier
///
/// For admins. From then on it cannot be cancelled. Idempotent: an order that is already shipped is returned unchanged, unless the
/// request has another tracking number.
#[utoipa::path(
    post,
    path = "/orders/{id}/ship",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order's id")),
    request_body = Shipment,
    security(("bearer" = [])),
    responses(
        (status = 200, body = LifeBody, description = "The order is shipped"),
        Problems<(DbErr, Admin, NoSuchOrder, Json<Shipment>, NotATrackingNumber, NotShippable)>,
    )
)]
pub(super) async fn ship(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<OrderId>,
    Json(Shipment { tracking_number }): Json<Shipment>,
) -> Result<Json<LifeBody>, Problem> {
    let number: Option<TrackingNumber> = tracking_number.as_deref().map(str::parse).transpose()?;
    let number = number.map(TrackingNumber::into_text);
    let outcome = app.store.ship(&Viewer::from(admin), id, number.as_deref()).await?;
    Ok(moved(&app, outcome.ok_or(NoSuchOrder)?)?)
}

impl From<NotATrackingNumber> for Problem {
    fn from(error: NotATrackingNumber) -> Self {
        Self::invalid("/tracking_number", error.to_string())
    }
}

impl Documented for NotATrackingNumber {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}

impl From<NotShippable> for Problem {
    fn from(refusal: NotShippable) -> Self {
        Self::new(StatusCode::CONFLICT, "not-shippable", "The order cannot be shipped")
            .detail(refusal.to_string())
            .with("order_status", refusal.0.as_str())
    }
}

impl Documented for NotShippable {
    fn examples() -> Vec<Problem> {
        vec![Self(OrderStatus::Pending).into()]
    }
}
