use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use shop_core::ProductId;
use shop_runtime::http::{Documented, Problem, Problems, Query};

use super::conditional::{IfNoneMatch, KnownTag};
use crate::{
    app::App,
    body::ProductBody,
    domain::{Cursor, Filter, MAX_IDS},
    listing::PAGE,
    page::Page,
};

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// In characters.
const MAX_SEARCH: usize = 64;
/// In characters: as long as a product's may be.
const MAX_CATEGORY: usize = 40;

/// Which products to list. All fields must match.
#[derive(Debug, Default, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Contained in the name or the description, ignoring case.
    #[param(max_length = 64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    /// The exact category.
    #[param(max_length = 40)]
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    /// Up to 100 ids, separated by commas. Products that do not exist are left out. Always current: never cached.
    #[param(example = "1,2", pattern = "^ *-?[0-9]{1,19} *(, *-?[0-9]{1,19} *){0,99}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<String>,
    /// The maximum number of products.
    #[param(minimum = 1, maximum = 100, default = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// Where to continue: from the `Link` of the previous page.
    #[param(pattern = "^(A[Q-Za-f][A-Za-z0-9_-]{10})?$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A validated [`ListQuery`].
#[derive(Debug)]
struct Wanted {
    filter: Filter,
    limit: u64,
    after: Option<Cursor>,
}

impl Wanted {
    fn new(query: &ListQuery) -> Result<Self, Problem> {
        let limit = query.limit.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&limit) {
            return Err(Problem::bad_request(format!("`limit` must be 1 to {PAGE}.")));
        }
        // Browsers also send a form's empty fields.
        let filled = |field: &Option<String>| {
            field.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        for (name, text, most) in [("q", &query.q, MAX_SEARCH), ("category", &query.category, MAX_CATEGORY)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > most) {
                return Err(Problem::bad_request(format!("`{name}` must have at most {most} characters.")));
            }
        }
        let after = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let after = after.map(str::parse).transpose();
        let after = after.map_err(|error| Problem::bad_request(format!("`cursor`: {error}.")))?;
        let ids = query.ids.as_deref().map(ids).transpose()?;
        Ok(Self {
            filter: Filter { search: filled(&query.q), category: filled(&query.category), ids },
            limit,
            after,
        })
    }

    /// Whether this is the page that is cached.
    fn is_first_page(&self) -> bool {
        self.filter.is_empty() && self.after.is_none() && self.limit == PAGE
    }
}

fn ids(text: &str) -> Result<Vec<ProductId>, Problem> {
    // Counted before they are parsed, so that a long list costs nothing.
    if text.split(',').count() > MAX_IDS {
        return Err(Problem::bad_request(format!("`ids` must name at most {MAX_IDS} products.")));
    }
    let ids = text.split(',').map(id).collect::<Option<Vec<_>>>();
    let ids =
        ids.ok_or_else(|| Problem::bad_request("`ids` must be numbers separated by commas, such as 1,2."))?;
    Ok(ids.into_iter().flatten().collect())
}

/// `None`: not a number. A number that is too large for an id simply matches no product, like many smaller ones.
fn id(text: &str) -> Option<Option<ProductId>> {
    let text = text.trim_matches(' ');
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = (1..=19).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().ok())
}

impl Documented for ListQuery {
    fn examples() -> Vec<Problem> {
        Wanted::new(&Self { limit: Some(0), ..Self::default() }).err().into_iter().collect()
    }
}

/// Lists products
///
/// Sorted by id. The first page of all products comes from a cache, everything else from the database.
#[utoipa::path(
    get,
    path = "/products",
    tag = "products",
    params(ListQuery, KnownTag),
    responses(
        (status = 200, description = "A page of products", body = Vec<ProductBody>, headers(
            ("Link" = String, description = "RFC 8288: `<…>; rel=\"next\"` if there are more"),
            ("ETag" = String, description = "For `If-None-Match`"),
            ("X-Cache" = String, description = "`hit`, `miss`, or `bypass` for requests that are never cached"),
        )),
        (status = 304, description = "The page has not changed"),
        Problems<(DbErr, ListQuery)>,
    )
)]
pub(super) async fn list_products(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let wanted = Wanted::new(&query)?;
    if wanted.is_first_page() {
        let listed = app.listing().get().await?;
        return Ok(respond(&known, &listed.page, if listed.is_hit { "hit" } else { "miss" }));
    }
    let found = app.products().page(&wanted.filter, wanted.after, wanted.limit + 1).await?;
    let page = Page::of(found, wanted.limit, |cursor| next(query, cursor))?;
    Ok(respond(&known, &page, "bypass"))
}

/// The same request, continued from `cursor`.
fn next(query: ListQuery, cursor: Cursor) -> String {
    let query = ListQuery { cursor: Some(cursor.to_string()), ..query };
    // Flat pairs of text: nothing in them can fail.
    format!("/products?{}", serde_urlencoded::to_string(query).unwrap_or_default())
}

fn respond(known: &IfNoneMatch, page: &Page, cache: &'static str) -> Response {
    // `no-cache`: store it, but revalidate before use. The response is mostly a 304.
    let mut response = known.respond("application/json", "no-cache", page.etag(), page.json());
    let headers = response.headers_mut();
    headers.insert(X_CACHE, HeaderValue::from_static(cache));
    if let Some(link) = page.link() {
        headers.insert(header::LINK, link.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_the_next_page_keeps_the_question() {
        let query = ListQuery { q: Some("a&b".to_owned()), limit: Some(2), ..ListQuery::default() };
        assert_eq!(next(query, Cursor(ProductId(7))), "/products?q=a%26b&limit=2&cursor=AQAAAAAAAAAH");
    }

    #[test]
    fn empty_fields_of_a_form_narrow_nothing() {
        let query = ListQuery {
            q: Some(" ".to_owned()),
            category: Some(String::new()),
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        assert!(Wanted::new(&query).unwrap().is_first_page());
    }

    #[test]
    fn ids_that_no_product_can_have_are_left_out() {
        assert_eq!(ids("2, -1 ,9223372036854775808").unwrap(), [ProductId(2), ProductId(-1)]);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let many = vec!["1"; MAX_IDS + 1].join(",");
        for query in [
            ListQuery { limit: Some(0), ..ListQuery::default() },
            ListQuery { limit: Some(PAGE + 1), ..ListQuery::default() },
            ListQuery { q: Some("x".repeat(MAX_SEARCH + 1)), ..ListQuery::default() },
            ListQuery { cursor: Some("nonsense".to_owned()), ..ListQuery::default() },
            ListQuery { ids: Some(String::new()), ..ListQuery::default() },
            ListQuery { ids: Some("1,x".to_owned()), ..ListQuery::default() },
            ListQuery { ids: Some("+1".to_owned()), ..ListQuery::default() },
            ListQuery { ids: Some("1,".to_owned()), ..ListQuery::default() },
            ListQuery { ids: Some("12345678901234567890".to_owned()), ..ListQuery::default() },
            ListQuery { cursor: Some(" AQAAAAAAAAAH".to_owned()), ..ListQuery::default() },
            ListQuery { category: Some("x".repeat(MAX_CATEGORY + 1)), ..ListQuery::default() },
            ListQuery { ids: Some(many), ..ListQuery::default() },
        ] {
            assert_eq!(Wanted::new(&query).unwrap_err().status(), 400, "{query:?}");
        }
    }
}
