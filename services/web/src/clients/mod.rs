//! The services behind the storefront, as their HTTP contracts describe them.

mod auth;
mod catalog;
mod order;

use axum::http::{HeaderMap, Method, StatusCode, header};
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use shop_runtime::{Periodically, http::Problem};
use thiserror::Error;
use url::Url;

pub(crate) use auth::{Auth, OnBehalf, Token};
pub(crate) use catalog::{Catalog, Product, Search};
pub(crate) use order::{NewLine, Order, Orders};

/// The largest answer that is read, in bytes: a page of products is about 50 KiB.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// A service that the storefront calls.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    name: &'static str,
    base: String,
    http: reqwest::Client,
}

/// A service's answer to a call that it accepted.
#[derive(Debug)]
pub(crate) struct Answer {
    service: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why a call came to nothing.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The service cannot be reached, takes too long, or is in trouble itself.
    #[error("{service} is away: {reason}")]
    Away { service: &'static str, reason: String, retry_after: u32 },
    /// It does not take our token (any more).
    #[error("the token was refused")]
    Unauthorized,
    /// It wants us to ask less often.
    #[error("too many requests")]
    Busy { retry_after: u32 },
    /// It understood and refuses; the problem's slug says why.
    #[error("refused as {}", .0.slug)]
    Refused(Refusal),
    /// Its answer is not what its contract says.
    #[error("{service} broke its contract: {reason}")]
    Broken { service: &'static str, reason: String },
}

/// A problem as a service told it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) slug: String,
    pub(crate) body: serde_json::Value,
}

impl Failure {
    /// The problem for a handler that has no better words.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::Away { retry_after, .. } => {
                static AWAY: Periodically = Periodically::line();
                if let Some(count) = AWAY.due() {
                    tracing::warn!(error = %self, count, "a service is away");
                }
                Problem::unavailable("A part of the shop is away.", retry_after)
            }
            Self::Busy { retry_after } => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
                    .header(header::RETRY_AFTER, retry_after.into())
            }
            Self::Unauthorized => Problem::unauthorized("The login has ended."),
            Self::Refused(refusal) if refusal.status == StatusCode::NOT_FOUND => {
                Problem::not_found("No such thing.")
            }
            Self::Refused(refusal) if refusal.status != StatusCode::FORBIDDEN => {
                Problem::bad_request("The request was refused.")
            }
            failure => {
                tracing::error!(error = %failure, "a call failed");
                Problem::new(StatusCode::BAD_GATEWAY, "bad-gateway", "A part of the shop answered strangely")
            }
        }
    }
}

impl Upstream {
    pub(crate) fn new(name: &'static str, base: &Url, http: reqwest::Client) -> Self {
        Self { name, base: base.as_str().trim_end_matches('/').to_owned(), http }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it answers at all.
    pub(crate) async fn ping(&self) -> anyhow::Result<()> {
        let request = self.request(Method::GET, "/health");
        shop_runtime::client::send("GET /health", request).await?.error_for_status()?;
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends, and reads the answer within bounds. `name` is the span's, without ids.
    async fn call(&self, name: &'static str, request: RequestBuilder) -> Result<Answer, Failure> {
        let service = self.name;
        let away = |error: reqwest::Error| {
            // Without the address: it is in the configuration, and an id may be in it.
            Failure::Away { service, reason: chain(&error.without_url()), retry_after: 5 }
        };
        let mut response = shop_runtime::client::send(name, request).await.map_err(away)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Failure::Broken { service, reason: "the answer is too large".to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        match status {
            status if status.is_success() => Ok(Answer { service, headers, body }),
            StatusCode::UNAUTHORIZED if !is_about_credentials(&body) => Err(Failure::Unauthorized),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Busy { retry_after: retry_after(&headers) }),
            status if status.is_client_error() => Err(Failure::Refused(Refusal::read(status, &body))),
            status if status.is_server_error() => Err(Failure::Away {
                service,
                reason: format!("it answered {status}"),
                retry_after: retry_after(&headers),
            }),
            status => Err(Failure::Broken { service, reason: format!("it answered {status}") }),
        }
    }
}

impl Answer {
    fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::Broken { service: self.service, reason: error.to_string() })
    }

    /// The cursor of the next page, out of `Link: <…?cursor=…>; rel="next"` (RFC 8288).
    fn next_cursor(&self) -> Option<String> {
        let links = self.headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        let next = links.flat_map(|value| value.split(',')).find(|link| link.contains("rel=\"next\""))?;
        let target = next.split_once('<')?.1.split_once('>')?.0;
        let url = Url::parse("http://upstream.invalid").ok()?.join(target).ok()?;
        url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
    }
}

impl Refusal {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let kind = body["type"].as_str().unwrap_or_default();
        let slug = kind.rsplit('/').next().unwrap_or_default().to_owned();
        Self { status, slug, body }
    }
}

/// A 401 that is about an e-mail and a password, and not about our token.
fn is_about_credentials(body: &[u8]) -> bool {
    Refusal::read(StatusCode::UNAUTHORIZED, body).slug == "bad-credentials"
}

/// Seconds; five where the service does not say.
fn retry_after(headers: &HeaderMap) -> u32 {
    let value = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(5)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(link: &str) -> Answer {
        let headers = [(header::LINK, link.parse().unwrap())].into_iter().collect();
        Answer { service: "catalog_service", headers, body: Vec::new() }
    }

    #[test]
    fn the_next_cursor_is_read_out_of_a_relative_or_absolute_link() {
        assert_eq!(answer("</products?limit=2&cursor=a%3D%3D>; rel=\"next\"").next_cursor().unwrap(), "a==");
        let absolute =
            "<http://c/products?cursor=x>; rel=\"prev\", <http://c/products?cursor=y>; rel=\"next\"";
        assert_eq!(answer(absolute).next_cursor().unwrap(), "y");
        for link in ["", "rubbish; rel=\"next\"", "</products>; rel=\"next\"", "</p?cursor=x>; rel=\"prev\""]
        {
            assert_eq!(answer(link).next_cursor(), None, "{link}");
        }
    }

    #[test]
    fn a_refusal_that_is_no_problem_has_no_slug() {
        let refusal = Refusal::read(StatusCode::CONFLICT, b"<html>");
        assert_eq!((refusal.slug.as_str(), refusal.body["product_id"].as_i64()), ("", None));
    }
}
