use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{Extension, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use shop_client::{Failure, Product, Search};
use shop_core::ProductId;
use shop_runtime::{
    Periodically,
    http::{Path, Problem, Query},
};
use uuid::Uuid;

use crate::{
    app::App,
    page::{Page, Section, render},
    visitor::{Result, Visit},
};

/// How many products a page shows: whole rows at every width.
const PAGE: usize = 12;
/// How many products are looked at for the categories of the filter: one page, and no more.
const SURVEYED: usize = 100;
/// The longest search that the catalog takes, in characters; the rest is cut off.
const LONGEST_SEARCH: usize = 64;

#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Filter {
    /// Drops empty fields: an empty search form sends them too.
    fn cleaned(self) -> Self {
        let clean = |text: Option<String>| {
            let text: String = text?.trim().chars().take(LONGEST_SEARCH).collect();
            (!text.is_empty()).then_some(text)
        };
        Self {
            q: clean(self.q),
            category: clean(self.category),
            cursor: self.cursor.filter(|cursor| !cursor.is_empty()),
        }
    }

    /// The address of the catalog with this filter.
    fn url(&self) -> String {
        match serde_urlencoded::to_string(self) {
            Ok(query) if !query.is_empty() => format!("/catalog?{query}"),
            _ => "/catalog".to_owned(),
        }
    }
}

/// An entry of the category filter.
struct Choice {
    label: String,
    url: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "catalog.html")]
struct CatalogPage<'a> {
    page: Page<'a>,
    q: String,
    category: String,
    heading: String,
    is_filtered: bool,
    choices: Vec<Choice>,
    products: Vec<Product>,
    first_url: Option<String>,
    next_url: Option<String>,
}

/// `GET /catalog`
pub(super) async fn page(
    State(app): State<App>,
    Extension(visitor): Visit,
    Query(filter): Query<Filter>,
) -> Result {
    let filter = filter.cleaned();
    let search = Search {
        q: filter.q.as_deref(),
        category: filter.category.as_deref(),
        cursor: filter.cursor.as_deref(),
        limit: PAGE,
    };
    let (found, categories) = tokio::join!(app.catalog.search(&search), categories(&app));
    let found = found.map_err(|failure| visitor.stopped_by(failure))?;
    let t = visitor.texts();
    let heading = match (&filter.q, &filter.category) {
        (Some(q), _) => t.results_for.replace("{query}", q),
        (None, Some(category)) => visitor.texts().category(category),
        (None, None) => t.catalog_title.to_owned(),
    };
    let choice = |category: Option<&String>| {
        let label =
            category.map_or(t.all_categories.to_owned(), |category| visitor.texts().category(category));
        let url = Filter { q: filter.q.clone(), category: category.cloned(), cursor: None }.url();
        Choice { label, url, is_current: filter.category.as_ref() == category }
    };
    let with_cursor =
        |cursor| Filter { q: filter.q.clone(), category: filter.category.clone(), cursor }.url();
    let page = CatalogPage {
        page: Page::new(&visitor, Section::Catalog, heading.clone()),
        heading,
        is_filtered: filter.q.is_some() || filter.category.is_some(),
        choices: std::iter::once(None).chain(categories.iter().map(Some)).map(choice).collect(),
        products: found.items,
        first_url: filter.cursor.is_some().then(|| with_cursor(None)),
        next_url: found.next.map(|cursor| with_cursor(Some(cursor))),
        q: filter.q.clone().unwrap_or_default(),
        category: filter.category.clone().unwrap_or_default(),
    };
    Ok(render(StatusCode::OK, &page)?)
}

/// The filter's categories; none when the catalog does not answer, since the page is still worth showing.
async fn categories(app: &App) -> Arc<[String]> {
    let fetched = app.categories.try_get_with((), async {
        let surveyed = app.catalog.search(&Search::all(SURVEYED)).await?;
        let categories: BTreeSet<String> =
            surveyed.items.into_iter().map(|product| product.category).collect();
        Ok(categories.into_iter().filter(|category| !category.is_empty()).collect())
    });
    fetched.await.unwrap_or_else(|error: Arc<Failure>| {
        static AWAY: Periodically = Periodically::line();
        if let Some(count) = AWAY.due() {
            tracing::warn!(%error, count, "the categories cannot be read");
        }
        Arc::default()
    })
}

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'a> {
    page: Page<'a>,
    product: Product,
    category_url: String,
    /// The idempotency key of the order that "buy now" places.
    key: Uuid,
}

/// `GET /products/{id}`
pub(super) async fn product(
    State(app): State<App>,
    Extension(visitor): Visit,
    Path(id): Path<ProductId>,
) -> Result {
    let product = app.catalog.product(id).await.map_err(|failure| visitor.stopped_by(failure))?;
    let product = product.ok_or_else(|| Problem::not_found("No such product."))?;
    let category_url =
        Filter { category: Some(product.category.clone()), ..Filter::default() }.cleaned().url();
    let page = Page::new(&visitor, Section::Catalog, product.name.clone());
    let key = app.clock.new_id();
    Ok(render(StatusCode::OK, &ProductPage { page, product, category_url, key })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_only_what_filters() {
        let filter =
            Filter {
                q: Some("  ".into()), category: Some("чай & co".into()), cursor: Some(String::new())
            };
        assert_eq!(filter.cleaned().url(), "/catalog?category=%D1%87%D0%B0%D0%B9+%26+co");
        let long = Filter { q: Some("я".repeat(500)), ..Filter::default() };
        assert_eq!(long.cleaned().q.unwrap().chars().count(), LONGEST_SEARCH);
    }
}
