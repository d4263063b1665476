use askama::Template;
use axum::{Extension, extract::State, http::StatusCode};

use crate::{
    clients::{Product, Search},
    page::{Page, Section, render},
    state::AppState,
    visitor::{Result, Visit},
};

/// How many products stand in the window.
const FEATURED: usize = 8;

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    page: Page<'a>,
    products: Vec<Product>,
}

/// `GET /`
pub(super) async fn page(State(state): State<AppState>, Extension(visitor): Visit) -> Result {
    let search = Search { limit: FEATURED, ..Search::default() };
    let (products, _) = state.catalog.search(&search).await.map_err(|failure| visitor.stopped_by(failure))?;
    let page = Page::new(&visitor, Section::Elsewhere, visitor.lang.texts().tagline);
    Ok(render(StatusCode::OK, &Home { page, products })?)
}
