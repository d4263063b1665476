//! Forms: bounded, ours, and readable.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode},
};
use serde::de::DeserializeOwned;
use shop_runtime::http::{self as runtime, Problem};
use url::Url;

use crate::{state::AppState, visitor::Visitor};

/// A form that one of our own pages sent: the only way in which a handler reads a body, so that none forgets to ask
/// for the session's token.
///
/// It also asks where the request comes from (`Sec-Fetch-Site`, or `Origin` from a browser without it): two locks,
/// of which either would do.
pub(crate) struct Form<T>(pub(crate) T);

/// A form without fields of its own.
#[derive(serde::Deserialize)]
pub(crate) struct Empty {}

impl<T: DeserializeOwned> FromRequest<AppState> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<Arc<Visitor>>().cloned();
        let visitor = visitor.ok_or_else(|| anyhow::anyhow!("a form outside of the visitor's layer"))?;
        if !comes_from_us(request.headers(), state.trust_proxy) {
            return Err(stale());
        }
        let runtime::Form(fields): runtime::Form<Vec<(String, String)>> =
            runtime::Form::from_request(request, state).await?;
        let token = fields.iter().find(|(name, _)| name == "csrf").map_or("", |(_, value)| value);
        if !visitor.session.owns_form(token) {
            return Err(stale());
        }
        // Written out again, because only text says that a field which should be a number is one.
        let text = serde_urlencoded::to_string(fields).map_err(Problem::internal)?;
        serde_urlencoded::from_str(&text)
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("The form cannot be read: {error}.")))
    }
}

fn stale() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "stale-form", "This form is out of date")
}

/// Whether a browser says that one of our pages sent this. What is no browser says nothing, and passes: it has no
/// cookies that a stranger could ride on.
fn comes_from_us(headers: &HeaderMap, trust_proxy: bool) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    let host = text("x-forwarded-host").filter(|_| trust_proxy).or_else(|| text("host"));
    let authority = Url::parse(origin)
        .ok()
        .map(|origin| origin[url::Position::BeforeHost..url::Position::AfterPort].to_owned());
    authority.is_some() && authority.as_deref() == host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(pairs: &[(&'static str, &'static str)], trust_proxy: bool) -> bool {
        let headers =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        comes_from_us(&headers, trust_proxy)
    }

    #[test]
    fn a_form_from_another_site_is_refused() {
        let host = ("host", "shop.example:8080");
        assert!(passes(&[host], false));
        assert!(passes(&[host, ("origin", "http://shop.example:8080")], false));
        assert!(passes(&[host, ("sec-fetch-site", "same-origin"), ("origin", "null")], false));
        for origin in ["http://evil.example", "http://shop.example", "null", ""] {
            assert!(!passes(&[host, ("origin", origin)], false), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(!passes(&[host, ("sec-fetch-site", site)], false), "{site}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_which_host_was_asked() {
        let headers =
            [("host", "web:8000"), ("x-forwarded-host", "shop.example"), ("origin", "https://shop.example")];
        assert!(passes(&headers, true));
        assert!(!passes(&headers, false));
    }
}
