use askama::Template;
use axum::{Extension, extract::State, http::StatusCode};
use shop_client::{Product, Search};

use crate::{
    app::App,
    page::{Page, Section, render},
    visitor::{Result, Visit},
};

/// How many products the home page shows.
const FEATURED: usize = 8;

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    page: Page<'a>,
    products: Vec<Product>,
}

/// `GET /`
pub(super) async fn page(State(app): State<App>, Extension(visitor): Visit) -> Result {
    let featured = app.catalog.search(&Search::all(FEATURED)).await;
    let products = featured.map_err(|failure| visitor.stopped_by(failure))?.items;
    let page = Page::new(&visitor, Section::Elsewhere, visitor.texts().tagline);
    Ok(render(StatusCode::OK, &Home { page, products })?)
}
