//! The shop's services, as the bot calls them. It knows their HTTP contracts and nothing of Telegram.

mod auth;
mod catalog;
mod order;

use reqwest::{RequestBuilder, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use shop_core::{Money, ProductId};
use thiserror::Error;
use url::Url;

pub(crate) use self::{
    auth::OnBehalf,
    catalog::Product,
    order::{Line, Order},
};
use crate::Config;

/// An answer may have this many bytes: far more than a hundred products or orders have.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// As many items as the services put on one of their pages.
const CHUNK: usize = 100;

/// A walk over a list ends after this many of the services' pages.
const MAX_CHUNKS: usize = 10;

/// The three services.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    http: reqwest::Client,
    auth: Url,
    catalog: Url,
    order: Url,
}

/// Why a call did not give what was wanted.
#[derive(Debug, Error)]
pub(crate) enum ShopError {
    /// The service cannot be reached, is too slow, or is out of order. With `perhaps_done` it may have done what it
    /// was asked for all the same.
    #[error("{service} is away: {reason}")]
    Away { service: &'static str, reason: String, perhaps_done: bool },
    /// The token is not accepted (any more).
    #[error("the token is not accepted")]
    Unauthorized,
    /// The request is understood and refused.
    #[error("refused: {} {}", .0.status, .0.slug)]
    Refused(Refusal),
}

/// What a problem (RFC 9457) says, as far as the bot acts on it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The end of the problem's `type`: `price-changed`.
    pub(crate) slug: String,
    pub(crate) product_id: Option<ProductId>,
    pub(crate) current_price: Option<Money>,
    /// How many pieces there are.
    pub(crate) available: Option<u32>,
}

/// A part of a list, and whether there is more behind it.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) more: bool,
}

impl Shop {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            http: shop_runtime::client::client()?,
            auth: config.auth_url.clone(),
            catalog: config.catalog_url.clone(),
            order: config.order_url.clone(),
        })
    }

    /// Whether the service at `base` is alive.
    async fn alive(&self, base: &Url) -> anyhow::Result<()> {
        self.http.get(at(base, &["health"])).send().await?.error_for_status()?;
        Ok(())
    }

    /// Items `skip..skip + take` of the list at `url`, which is read from its beginning, `Link` by `Link`.
    async fn page<T: DeserializeOwned>(
        &self,
        name: Call,
        url: &Url,
        authorize: impl Fn(RequestBuilder) -> RequestBuilder,
        skip: usize,
        take: usize,
    ) -> Result<Page<T>, ShopError> {
        let mut items: Vec<T> = Vec::new();
        let mut cursor: Option<String> = None;
        let mut more = true;
        for _ in 0..MAX_CHUNKS {
            let mut request = authorize(self.http.get(url.clone())).query(&[("limit", CHUNK)]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let response = name.send(request).await?;
            cursor = next_cursor(&response, url);
            items.extend(name.read::<Vec<T>>(response).await?);
            more = cursor.is_some();
            if !more || items.len() > skip + take {
                break;
            }
        }
        let more = more || items.len() > skip + take;
        let items = items.into_iter().skip(skip).take(take).collect();
        Ok(Page { items, more })
    }
}

/// A call's name for the trace, and the service that it goes to.
#[derive(Clone, Copy)]
struct Call {
    service: &'static str,
    span: &'static str,
}

impl Call {
    fn away(self, reason: impl Into<String>) -> ShopError {
        ShopError::Away { service: self.service, reason: reason.into(), perhaps_done: true }
    }

    fn broken(self, error: reqwest::Error) -> ShopError {
        let perhaps_done = !error.is_connect();
        ShopError::Away { service: self.service, reason: error.without_url().to_string(), perhaps_done }
    }

    /// Sends `request`; anything but a success is an error.
    async fn send(self, request: RequestBuilder) -> Result<Response, ShopError> {
        let response = shop_runtime::client::send(self.span, request).await;
        let response = response.map_err(|error| self.broken(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(ShopError::Unauthorized);
        }
        if !status.is_client_error() {
            let reason = format!("it answered {status}");
            // 503 is what a service says that has not begun.
            let perhaps_done = status != StatusCode::SERVICE_UNAVAILABLE;
            return Err(ShopError::Away { service: self.service, reason, perhaps_done });
        }
        let problem = self.read::<Problem>(response).await.unwrap_or_default();
        let slug = problem.r#type.rsplit('/').next().unwrap_or_default().to_owned();
        let Problem { product_id, current_price, available, .. } = problem;
        Err(ShopError::Refused(Refusal { status, slug, product_id, current_price, available }))
    }

    /// Reads a JSON body. One that is too long or of another shape is a service out of order.
    async fn read<T: DeserializeOwned>(self, mut response: Response) -> Result<T, ShopError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(self.away("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        // Only where and what: serde's own words could quote a value, and an answer may have a token in it.
        serde_json::from_slice(&body).map_err(|error| {
            self.away(format!("its answer is not understood ({:?}, line {})", error.classify(), error.line()))
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    product_id: Option<ProductId>,
    current_price: Option<Money>,
    available: Option<u32>,
}

/// `base` with path segments added; a path that `base` has already stays.
fn at(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // Fails for a URL without a host alone, which the configuration refuses.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// The cursor of the `Link: <…>; rel="next"` header (RFC 8288). Nothing else of the link is used, so that an answer
/// cannot send the bot, and its token, elsewhere.
fn next_cursor(response: &Response, base: &Url) -> Option<String> {
    let links = response.headers().get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|links| links.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next =
            parameters.split(';').any(|parameter| matches!(parameter.trim(), r#"rel="next""# | "rel=next"));
        next.then_some(target)
    })?;
    let next = base.join(next).ok()?;
    next.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_added_to_what_the_base_has() {
        let at = |base: &str| at(&base.parse().unwrap(), &["orders", "a/b"]).to_string();
        assert_eq!(at("http://order:8000"), "http://order:8000/orders/a%2Fb");
        assert_eq!(at("http://gateway/shop/"), "http://gateway/shop/orders/a%2Fb");
    }

    #[test]
    fn the_next_page_is_taken_from_the_link_header() {
        let base: Url = "http://catalog/products".parse().unwrap();
        let cursor = |link: &str| {
            let response = http::Response::builder().header(header::LINK, link).body("").unwrap();
            next_cursor(&Response::from(response), &base)
        };
        assert_eq!(cursor(r#"</products?limit=2&cursor=a%3D>; rel="next""#).as_deref(), Some("a="));
        assert_eq!(
            cursor(r#"<http://x/?cursor=p>; rel="prev", <http://evil/?cursor=n>; rel="next""#).as_deref(),
            Some("n")
        );
        assert_eq!(cursor(r#"</products?limit=2>; rel="next""#), None);
        assert_eq!(cursor("nonsense"), None);
    }
}
