//! The reservations of orders, for administrators.

use axum::{extract::State as Shared, response::Response};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use shop_core::{OrderId, ProductId};
use shop_runtime::{
    auth::Admin,
    http::{Documented, Problem, Problems, Query, cursor},
};
use utoipa::ToSchema;

use super::paging::{Limit, page_of};
use crate::{
    app::App,
    stock::{Kept, Line, State, reservations},
};

/// The requested page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only reservations in this state.
    #[param(inline)]
    state: Option<State>,
    /// The maximum number of reservations.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 100)]
    #[serde(default)]
    limit: Limit,
    /// Where to continue: from the `Link` of the previous page.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

impl Page {
    fn checked(&self) -> Result<(u64, Option<OrderId>), Problem> {
        let foreign = || Problem::bad_request("`cursor`: the cursor was not issued by this list.");
        let before = self
            .cursor
            .as_deref()
            .map(|text| cursor::read(text).ok_or_else(foreign))
            .transpose()?
            .map(OrderId);
        Ok((self.limit.checked()?, before))
    }

    /// The path and query of the page after `last`.
    fn after(&self, last: OrderId, limit: u64) -> String {
        let state = self.state.map(|state| format!("state={}&", state.as_str())).unwrap_or_default();
        format!("/reservations?{state}limit={limit}&cursor={}", cursor::after(last.0))
    }
}

impl Documented for Page {
    fn examples() -> Vec<Problem> {
        Limit::examples()
    }
}

/// A reservation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub(super) struct ReservationBody {
    /// The order.
    order_id: OrderId,
    /// Its state.
    state: State,
    /// What was ordered, by product.
    items: Vec<LineBody>,
    /// When the pieces are given back, unless the order is confirmed before. None if nothing was reserved.
    reserved_until: Option<DateTime<Utc>>,
    /// When the order was first heard of.
    created_at: DateTime<Utc>,
    /// When the reservation last changed.
    updated_at: DateTime<Utc>,
}

/// A line of a reservation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReservationLine)]
pub(super) struct LineBody {
    /// The product.
    product_id: ProductId,
    /// The quantity.
    quantity: u32,
}

impl From<Kept> for ReservationBody {
    fn from(kept: Kept) -> Self {
        let Kept { order, state, lines, reserved_until, created_at, updated_at } = kept;
        let line = |Line { product, quantity }| LineBody { product_id: product, quantity };
        let items = lines.into_iter().map(line).collect();
        Self { order_id: order, state, items, reserved_until, created_at, updated_at }
    }
}

/// Lists reservations, those of the newest orders first
#[utoipa::path(
    get,
    path = "/reservations",
    tag = "stock",
    security(("bearer" = [])),
    params(Page),
    responses(
        (status = 200, description = "A page of reservations", body = Vec<ReservationBody>, headers(
            ("Link" = String, description = "RFC 8288: `<…>; rel=\"next\"` if there are more"),
        )),
        Problems<(DbErr, Admin, Page)>,
    )
)]
pub(super) async fn list_reservations(
    Shared(app): Shared<App>,
    Admin(_): Admin,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let (limit, before) = page.checked()?;
    let found = reservations(app.database(), page.state, before, limit + 1).await?;
    page_of(found, limit, |last: &Kept| page.after(last.order, limit), ReservationBody::from)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_link_to_the_next_page_keeps_the_state_and_its_cursor_is_read_back() {
        let last = OrderId(Uuid::from_u128(7));
        let page = Page { state: Some(State::Sold), limit: Limit::default(), cursor: None };
        let next = page.after(last, 100);
        assert_eq!(next, "/reservations?state=sold&limit=100&cursor=AAAAAAAAAAAAAAAAAAAABw");
        assert_eq!(cursor::read("AAAAAAAAAAAAAAAAAAAABw"), Some(last.0));
    }
}
