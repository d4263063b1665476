use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde::Deserialize;
use shop_runtime::http::{Json, Problem, ProblemBody, Query};

use super::{App, cursor, representation::OrderBody};
use crate::domain::Viewer;

/// The size of a page that does not say.
const DEFAULT_LIMIT: u64 = 20;
/// The largest page.
const MAX_LIMIT: u64 = 100;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many orders, 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Where the page begins: from the `Link` of the page before.
    cursor: Option<String>,
}

/// Lists orders, newest first
///
/// A customer's own orders; an admin's list holds all, a guest's those of guests.
#[utoipa::path(
    get,
    path = "/orders",
    tag = "orders",
    params(Page),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = Vec<OrderBody>, headers(
            ("Link" = String, description = "The next page, `rel=\"next\"`, if there is one")
        )),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "No such page"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "A valid token is needed"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!("limit must be 1 to {MAX_LIMIT}.")));
    }
    let foreign = || Problem::bad_request("cursor must be one that a Link header gave.");
    let after = page.cursor.map(|text| cursor::read(&text).ok_or_else(foreign)).transpose()?;
    // One more than asked for tells whether there is a next page.
    let mut orders = app.store.list(&viewer, after, limit + 1).await?;
    let more = orders.len() as u64 > limit;
    orders.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut response = Json(orders.iter().map(OrderBody::from).collect::<Vec<_>>()).into_response();
    if let Some(last) = orders.last().filter(|_| more) {
        let next = format!("</orders?limit={limit}&cursor={}>; rel=\"next\"", cursor::after(last.id));
        response.headers_mut().insert(header::LINK, HeaderValue::try_from(next).map_err(Problem::internal)?);
    }
    Ok(response)
}
