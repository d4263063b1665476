//! The storefront's pages and forms. The response to a form is a redirect, so that reloading a page repeats nothing.

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
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, Predicate as _},
};

use crate::app::App;

/// Problems are not compressed: the layer reads them, to turn them into pages.
fn is_success(status: StatusCode, _: Version, _: &HeaderMap, _: &Extensions) -> bool {
    status.is_success()
}

pub(crate) fn routes(app: App) -> Router {
    // Only what is the same for everybody is compressed. A page holds its session's token beside what a visitor has typed, and
    // compressing the two together would allow the BREACH attack.
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
        .route("/orders/{id}/events", get(orders::events))
        .route("/language", post(language::switch))
        .with_state(app)
        .merge(assets)
}
