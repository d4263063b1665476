use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect},
};
use serde::Deserialize;
use shop_client::Order;
use shop_core::{OrderId, OrderStatus};
use shop_runtime::http::{Path, Problem, Query};

use crate::{
    app::App,
    flash::Flash,
    form::{Empty, Form},
    page::{Page, Section, render},
    visitor::{Changes, Result, Visit},
};

/// How many orders a page shows.
const PAGE: usize = 10;

#[derive(Deserialize)]
pub(super) struct From {
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
pub(super) async fn list(
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

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage<'a> {
    page: Page<'a>,
    order: Order,
}

impl OrderPage<'_> {
    fn may_cancel(&self) -> bool {
        self.order.status.may_become(OrderStatus::Cancelled)
    }
}

/// `GET /orders/{id}`
pub(super) async fn order(
    State(app): State<App>,
    Extension(visitor): Visit,
    Path(id): Path<OrderId>,
) -> Result {
    let account = visitor.account()?;
    let order = app.orders.get(&account.token, id).await.map_err(|failure| visitor.stopped_by(failure))?;
    let order = order.ok_or_else(|| Problem::not_found("No such order."))?;
    let title = format!("{} {}", visitor.texts().order, visitor.texts().order_number(&order.id));
    let page = Page::new(&visitor, Section::Orders, title);
    Ok(render(StatusCode::OK, &OrderPage { page, order })?)
}

/// `POST /orders/{id}/cancel`
pub(super) async fn cancel(
    State(app): State<App>,
    Extension(visitor): Visit,
    Path(id): Path<OrderId>,
    Form { is_stale, .. }: Form<Empty>,
) -> Result {
    let account = visitor.account()?;
    if is_stale {
        let changes = Changes::default().with_flash(Flash::LookAgain);
        return Ok((changes, Redirect::to(&format!("/orders/{id}"))).into_response());
    }
    let flash = match app.orders.cancel(&account.token, id).await {
        Ok(()) => Flash::OrderCancelled,
        Err(failure) if failure.is_refused_with(StatusCode::CONFLICT) => Flash::TooLateToCancel,
        Err(failure) => return Err(visitor.stopped_by(failure)),
    };
    let changes = Changes::default().with_flash(flash);
    Ok((changes, Redirect::to(&format!("/orders/{id}"))).into_response())
}
