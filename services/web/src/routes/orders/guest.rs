//! The link in a guest's mails: `/orders/{id}?token=…`.
//!
//! Whoever has the token is the guest, so it leaves the address at once. It goes into an encrypted cookie that browsers send back only
//! for this order's pages, and the redirect hides the link from the history, from `Referer`, from the stream's address and from every log
//! that notes addresses later on.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect},
};
use shop_client::{Failure, Owner};
use shop_core::OrderId;
use shop_runtime::http::Problem;

use crate::{
    app::App,
    failure,
    visitor::{Changes, Result},
};

/// Longer than any token of order_service.
const LONGEST_TOKEN: usize = 128;

/// Leads a guest from the link to the order's page. Only a token that is the order's is kept.
pub(super) async fn enter(app: &App, id: OrderId, token: String) -> Result {
    let is_theirs = is_plausible(&token)
        && match app.orders.get(Owner::Guest(&token), id).await {
            Ok(order) => order.is_some(),
            // It is no token at all.
            Err(failure) if failure.is_refused_with(StatusCode::BAD_REQUEST) => false,
            Err(Failure::Unauthorized(_)) => false,
            Err(failure) => return Err(discreet(failure::problem(&failure)).into()),
        };
    if !is_theirs {
        return Err(discreet(Problem::not_found("No such order.")).into());
    }
    let changes = Changes::default().with_guest_order(id, token);
    let headers = [(header::REFERRER_POLICY, NO_REFERRER), (header::CACHE_CONTROL, NO_STORE)];
    Ok((changes, headers, Redirect::to(&format!("/orders/{id}"))).into_response())
}

const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Whether it can be sent as a header.
fn is_plausible(token: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The page of this problem still has the token in its address.
fn discreet(problem: Problem) -> Problem {
    problem.header(header::REFERRER_POLICY, NO_REFERRER)
}
