use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect},
};
use serde::Deserialize;
use shop_client::Order;
use shop_core::OrderId;
use shop_runtime::http::{Path, Problem, Query};

use super::{
    guest,
    life::{self, Moment, Stage},
};
use crate::{
    app::App,
    flash::Flash,
    form::{Empty, Form},
    page::{Page, Section, render},
    session::Account,
    visitor::{Changes, Result, Visit, Visitor},
};

#[derive(Deserialize)]
pub(in crate::routes) struct Link {
    /// From the link in a guest's mail.
    token: Option<String>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage<'a> {
    page: Page<'a>,
    /// Where the order's life is told as it happens; `None` when it is over.
    live_url: Option<String>,
    stages: Vec<Stage>,
    timeline: Vec<Moment>,
    /// Why it was cancelled.
    cancellation: Vec<&'static str>,
    trace_url: Option<String>,
    order: Order,
}

impl<'a> OrderPage<'a> {
    fn new(app: &App, visitor: &'a Visitor, order: Order) -> Self {
        let t = visitor.texts();
        let title = format!("{} {}", t.order, order.id.number());
        Self {
            page: Page::new(visitor, Section::Orders, title),
            live_url: (!order.is_over()).then(|| live_url(&order)),
            stages: life::stages(t, &order),
            timeline: life::timeline(t, &order),
            cancellation: life::cancellation(t, &order, is_admin(visitor)),
            trace_url: trace_url(app, visitor, &order),
            order,
        }
    }
}

fn live_url(order: &Order) -> String {
    let after = order.last_step().map_or_else(String::new, |step| format!("?after={step}"));
    format!("/orders/{}/events{after}", order.id)
}

fn is_admin(visitor: &Visitor) -> bool {
    visitor.session.account().is_some_and(Account::is_admin)
}

/// The order's trace, for those who may look into the shop: an administrator, and everybody in a demonstration.
fn trace_url(app: &App, visitor: &Visitor, order: &Order) -> Option<String> {
    let may_look = app.is_demo || is_admin(visitor);
    let template = app.trace_url.as_ref().filter(|_| may_look)?;
    template.of(order.trace_id.as_deref()?)
}

/// `GET /orders/{id}`
pub(in crate::routes) async fn order(
    State(app): State<App>,
    Extension(visitor): Visit,
    Path(id): Path<OrderId>,
    Query(link): Query<Link>,
) -> Result {
    if let Some(token) = link.token {
        return guest::enter(&app, id, token).await;
    }
    let owner = visitor.owner().ok_or_else(|| visitor.login_first())?;
    let order = app.orders.get(owner, id).await.map_err(|failure| visitor.stopped_by(failure))?;
    let order = order.ok_or_else(|| Problem::not_found("No such order."))?;
    Ok(render(StatusCode::OK, &OrderPage::new(&app, &visitor, order))?)
}

/// `POST /orders/{id}/cancel`
pub(in crate::routes) async fn cancel(
    State(app): State<App>,
    Extension(visitor): Visit,
    Path(id): Path<OrderId>,
    Form { is_stale, .. }: Form<Empty>,
) -> Result {
    let owner = visitor.owner().ok_or_else(|| visitor.login_first())?;
    if is_stale {
        let changes = Changes::default().with_flash(Flash::LookAgain);
        return Ok((changes, Redirect::to(&format!("/orders/{id}"))).into_response());
    }
    let flash = match app.orders.cancel(owner, id).await {
        Ok(()) => Flash::OrderCancelled,
        Err(failure) if failure.is_refused_with(StatusCode::CONFLICT) => Flash::TooLateToCancel,
        Err(failure) => return Err(visitor.stopped_by(failure)),
    };
    let changes = Changes::default().with_flash(flash);
    Ok((changes, Redirect::to(&format!("/orders/{id}"))).into_response())
}
