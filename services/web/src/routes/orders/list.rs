use askama::Template;
use axum::{Extension, extract::State, http::StatusCode};
use serde::Deserialize;
use shop_client::Order;
use shop_runtime::http::Query;

use crate::{
    app::App,
    page::{Page, Section, render},
    visitor::{Result, Visit},
};

/// How many orders a page shows.
const PAGE: usize = 10;

#[derive(Deserialize)]
pub(in crate::routes) struct From {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage<'a> {
    page: Page<'a>,
    orders: Vec<Order>,
    is_first: bool,
    next_url: Option<String>,
}

/// `GET /orders`
pub(in crate::routes) async fn list(
    State(app): State<App>,
    Extension(visitor): Visit,
    Query(from): Query<From>,
) -> Result {
    let account = visitor.account()?;
    let cursor = from.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let page = app.orders.list(&account.token, cursor, PAGE).await;
    let found = page.map_err(|failure| visitor.stopped_by(failure))?;
    let next_query = found.next.and_then(|cursor| serde_urlencoded::to_string([("cursor", cursor)]).ok());
    let page = OrdersPage {
        page: Page::new(&visitor, Section::Orders, visitor.texts().orders_title),
        orders: found.items,
        is_first: cursor.is_none(),
        next_url: next_query.map(|query| format!("/orders?{query}")),
    };
    Ok(render(StatusCode::OK, &page)?)
}
