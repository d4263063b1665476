//! What every page shares: the frame around it, rendering, and the page of a problem.

use askama::Template;
use axum::{
    body::to_bytes,
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use shop_runtime::http::Problem;

use crate::{flash::Flash, i18n::Texts, session::Account, visitor::Visitor};

/// The frame: what `base.html` shows around a page's own content.
pub(crate) struct Page<'a> {
    pub(crate) t: &'static Texts,
    pub(crate) visitor: &'a Visitor,
    pub(crate) title: String,
    section: Section,
    pub(crate) cart_count: u32,
}

/// Which entry of the menu a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Catalog,
    Orders,
    Cart,
    Elsewhere,
}

impl<'a> Page<'a> {
    pub(crate) fn new(visitor: &'a Visitor, section: Section, title: impl Into<String>) -> Self {
        Self { t: visitor.texts(), visitor, title: title.into(), section, cart_count: visitor.cart.count() }
    }

    /// Shows `cart_count` at the cart instead of what was in it when the request came.
    pub(crate) fn with_cart_count(self, cart_count: u32) -> Self {
        Self { cart_count, ..self }
    }

    pub(crate) fn account(&self) -> Option<&Account> {
        self.visitor.session.account()
    }

    pub(crate) fn csrf(&self) -> &str {
        self.visitor.session.csrf_token()
    }

    /// Whether `flash` should have a link to the cart beside it.
    pub(crate) fn points_to_cart(&self, flash: &Flash) -> bool {
        *flash == Flash::AddedToCart && self.section != Section::Cart
    }

    /// `aria-current` of a menu's entry.
    pub(crate) fn current(&self, section: Section) -> &'static str {
        if self.section == section { "page" } else { "false" }
    }
}

/// Renders a page.
pub(crate) fn render(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| Problem::internal(anyhow::Error::new(error)))?;
    Ok((status, Html(html)).into_response())
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    page: Page<'a>,
    status: u16,
    text: &'static str,
    may_retry: bool,
    trace_id: Option<String>,
}

/// The largest problem that is read; ours are far smaller.
const LARGEST_PROBLEM: usize = 64 * 1024;

/// Turns a problem into a page for a person; the problem's headers stay.
pub(crate) async fn problem_page(visitor: &Visitor, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_PROBLEM).await.unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_stale_form = problem["type"].as_str().is_some_and(|kind| kind.ends_with("/stale-form"));
    let (title, text) = words(visitor.texts(), parts.status, is_stale_form);
    let page = ProblemPage {
        page: Page::new(visitor, Section::Elsewhere, title),
        status: parts.status.as_u16(),
        text,
        may_retry: is_stale_form
            || parts.status.is_server_error()
            || parts.status == StatusCode::TOO_MANY_REQUESTS,
        trace_id: problem["trace_id"].as_str().filter(|_| parts.status.is_server_error()).map(str::to_owned),
    };
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    match page.render() {
        Ok(html) => (parts, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of a problem cannot be rendered");
            (parts, body).into_response()
        }
    }
}

fn words(t: &'static Texts, status: StatusCode, is_stale_form: bool) -> (&'static str, &'static str) {
    match status {
        _ if is_stale_form => (t.stale_form, t.stale_form_text),
        StatusCode::NOT_FOUND => (t.not_found, t.not_found_text),
        StatusCode::METHOD_NOT_ALLOWED => (t.not_allowed, t.not_allowed_text),
        StatusCode::PAYLOAD_TOO_LARGE => (t.too_large, t.too_large_text),
        StatusCode::TOO_MANY_REQUESTS => (t.busy, t.busy_text),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            (t.away, t.away_text)
        }
        status if status.is_client_error() => (t.malformed, t.malformed_text),
        _ => (t.internal, t.internal_text),
    }
}
