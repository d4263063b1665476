use std::time::Duration;

use error_reporter::Report;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use shop_runtime::client;
use url::Url;

use crate::{Failure, Http, link, page::Page, retry};

/// The largest response that is read, in bytes. A page of a hundred products with the longest descriptions is about 1 MiB.
const LARGEST_ANSWER: usize = 2 * 1024 * 1024;

/// How long the beginning of a stream may take: as long as a whole answer, see [`client::client`].
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// A service that the shop calls. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    name: &'static str,
    base: Url,
    http: Http,
}

/// The response to a successful call.
#[derive(Debug)]
pub(crate) struct Answer {
    service: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Reads the address of a service: `http://` or `https://`, with or without a path.
///
/// # Errors
/// It is not such an address.
pub fn parse_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("expected an address that begins with http:// or https://".to_owned())
    }
}

impl Upstream {
    /// The service `name` at `base`, one of [`parse_address`]; `http` is one of [`crate::http`].
    pub fn new(name: &'static str, base: &Url, http: &Http) -> Self {
        let mut base = base.clone();
        base.set_query(None);
        base.set_fragment(None);
        Self { name, base, http: http.clone() }
    }

    /// Its name in failures and health checks.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks that it is alive, by its `/health`.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer with success.
    pub async fn ping(&self) -> Result<(), Failure> {
        // Without a span, because probes run every few seconds.
        let response = self.request(Method::GET, &["health"]).send().await;
        let response = response.map_err(|error| self.unavailable(error))?;
        if !response.status().is_success() {
            return Err(Failure::of_answer(self.name, response.status(), response.headers(), &[]));
        }
        Ok(())
    }

    /// Checks that there is a page at its address.
    ///
    /// # Errors
    /// Anything but a success.
    pub async fn visit(&self) -> Result<(), Failure> {
        self.call("GET /", || self.http.get(self.base.clone())).await.map(drop)
    }

    /// A request to the path made of `segments` below the service's address. Ids in it need no escaping.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        // Fails only for an address without a host, which is not an http address.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.http.request(method, url)
    }

    /// Sends the request made by `request`, and reads the response within limits. `span` is the span's name, without ids.
    pub(crate) async fn call(
        &self,
        span: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        let response = retry::unsent(|| client::send(span, request())).await;
        let response = response.map_err(|error| self.unavailable(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.body(response).await?;
        if status.is_success() {
            Ok(Answer { service: self.name, headers, body })
        } else {
            Err(Failure::of_answer(self.name, status, &headers, &body))
        }
    }

    /// Sends the request made by `request`, and returns a successful response without its body, which may take any time to arrive.
    pub(crate) async fn open(
        &self,
        span: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let opening = async {
            // The client's own limit is for the whole response.
            let response = retry::unsent(|| client::send(span, request().timeout(Duration::MAX))).await;
            let response = response.map_err(|error| self.unavailable(error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let (status, headers) = (response.status(), response.headers().clone());
            Err(Failure::of_answer(self.name, status, &headers, &self.body(response).await?))
        };
        tokio::time::timeout(HEAD_PATIENCE, opening).await.unwrap_or_else(|_| {
            let reason = "no answer in time".to_owned();
            Err(Failure::Unavailable { service: self.name, reason, retry_after: None, perhaps_done: true })
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unavailable(error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                let reason = format!("it has more than {LARGEST_ANSWER} bytes");
                return Err(Failure::Unreadable { service: self.name, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unavailable(&self, error: reqwest::Error) -> Failure {
        Failure::Unavailable {
            service: self.name,
            perhaps_done: !error.is_connect(),
            reason: Report::new(error.without_url()).to_string(),
            retry_after: None,
        }
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Only what and where: serde's own message could quote a value, and a response may contain a token.
            let (kind, line, column) = (error.classify(), error.line(), error.column());
            let reason = format!("{kind:?} error at line {line}, column {column}");
            Failure::Unreadable { service: self.service, reason }
        })
    }

    pub(crate) fn page<T: DeserializeOwned>(&self) -> Result<Page<T>, Failure> {
        Ok(Page { items: self.json()?, next: link::next_cursor(&self.headers) })
    }
}

/// `None` for a 404.
pub(crate) fn found(outcome: Result<Answer, Failure>) -> Result<Option<Answer>, Failure> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.is_refused_with(StatusCode::NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_are_addresses_of_services() {
        for text in ["http://auth_service:8000", "https://gateway/shop/", "http://[::1]:8001"] {
            assert!(parse_address(text).is_ok(), "{text}");
        }
        for text in ["", "auth_service:8000", "ftp://auth", "file:///etc/passwd", "mailto:a@b", "redis://r"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_added_to_what_the_address_has() {
        let at = |base: &str| {
            let http = crate::http().unwrap();
            let upstream = Upstream::new("order_service", &parse_address(base).unwrap(), &http);
            let request = upstream.request(Method::GET, &["orders", "a/b"]);
            request.build().unwrap().url().to_string()
        };
        assert_eq!(at("http://order:8000"), "http://order:8000/orders/a%2Fb");
        assert_eq!(at("http://gateway/shop/"), "http://gateway/shop/orders/a%2Fb");
        assert_eq!(at("http://gateway/shop?x=1#y"), "http://gateway/shop/orders/a%2Fb");
    }
}
