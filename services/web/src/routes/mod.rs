//! The storefront's pages and forms. A form answers with a redirect, so that reloading a page repeats nothing.

mod account;
pub(crate) mod assets;
mod cart;
mod catalog;
mod checkout;
mod home;
mod language;
mod orders;
mod pictures;

use axum::{
    Router,
    http::{Extensions, HeaderMap, StatusCode, Version},
    routing::{get, post},
};
pub(crate) use pictures::Picture;
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, Predicate as _},
};

use crate::state::AppState;

/// A problem is read again, to become a page.
fn is_success(status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions) -> bool {
    status.is_success()
}

pub(crate) fn routes(state: AppState) -> Router {
    // Only what is the same for everybody is compressed: a page holds its session's token next to what a visitor
    // typed, which is what BREACH needs.
    let assets = Router::new()
        .route("/static/{file}", get(assets::asset))
        .route("/robots.txt", get(assets::robots))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_success)));
    Router::new()
        .route("/", get(home::page))
        .route("/register", get(account::register_page).post(account::register))
        .route("/login", get(account::login_page).post(account::login))
        .route("/logout", post(account::logout))
        .route("/catalog", get(catalog::page))
        .route("/products/{id}", get(catalog::product))
        .route("/pictures/{file}", get(pictures::picture))
        .route("/cart", get(cart::page))
        .route("/cart/add", post(cart::add))
        .route("/cart/update", post(cart::update))
        .route("/cart/remove", post(cart::remove))
        .route("/order", post(checkout::order))
        .route("/orders", get(orders::list))
        .route("/orders/{id}", get(orders::order))
        .route("/orders/{id}/cancel", post(orders::cancel))
        .route("/language", post(language::switch))
        .with_state(state)
        .merge(assets)
}
