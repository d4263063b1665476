use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use sea_orm::DbErr;
use serde::Deserialize;
use shop_core::OrderId;
use shop_runtime::http::{Documented, Json, Problem, Problems, Query, cursor};

use super::representation::ListedBody;
use crate::{app::App, domain::Viewer};

/// The default size of a page.
const DEFAULT_LIMIT: u64 = 20;
/// The maximum size of a page.
const MAX_LIMIT: u64 = 100;

/// The requested page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The maximum number of orders, 20 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page begins: from the `Link` of the previous page.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

impl Page {
    /// The maximum number of orders, and the order after which the page begins.
    fn checked(&self) -> Result<(u64, Option<OrderId>), Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::bad_request(format!("limit must be 1 to {MAX_LIMIT}.")));
        }
        let foreign = || Problem::bad_request("cursor must come from a Link header.");
        let after =
            self.cursor.as_ref().map(|text| cursor::read(text).ok_or_else(foreign)).transpose()?.map(OrderId);
        Ok((limit, after))
    }
}

impl Documented for Page {
    fn examples() -> Vec<Problem> {
        Self { limit: Some(0), cursor: None }.checked().err().into_iter().collect()
    }
}

/// Lists orders, newest first
///
/// Customers get their own orders, admins get all. Without an access token, if guest checkout is on, the list contains
/// summaries of guests' orders: addresses are masked, and items are left out.
#[utoipa::path(
    get,
    path = "/orders",
    tag = "orders",
    params(Page),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = Vec<ListedBody>, description = "A page of orders", headers(
            ("Link" = String, description = "The next page, `rel=\"next\"`, if there is one")
        )),
        Problems<(DbErr, Viewer, Page)>,
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let (limit, after) = page.checked()?;
    // One more than requested shows whether there is a next page.
    let mut orders = listed(&app, &viewer, after, limit + 1).await?;
    let more = orders.len() as u64 > limit;
    orders.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = orders.last().map(ListedBody::id);
    let mut response = Json(orders).into_response();
    if let Some(last) = last.filter(|_| more) {
        let next = format!("</orders?limit={limit}&cursor={}>; rel=\"next\"", cursor::after(last.0));
        response.headers_mut().insert(header::LINK, HeaderValue::try_from(next).map_err(Problem::internal)?);
    }
    Ok(response)
}

async fn listed(
    app: &App,
    viewer: &Viewer,
    after: Option<OrderId>,
    limit: u64,
) -> Result<Vec<ListedBody>, DbErr> {
    Ok(match viewer {
        Viewer::Guest => {
            let outlines = app.store.outlines_of_guests(after, limit).await?;
            outlines.into_iter().map(|outline| ListedBody::Outline(outline.into())).collect()
        }
        Viewer::Holder(_) | Viewer::Customer(_) | Viewer::Admin(_) => {
            let orders = app.store.list(viewer, after, limit).await?;
            orders.iter().map(|order| ListedBody::Whole(order.into())).collect()
        }
    })
}
