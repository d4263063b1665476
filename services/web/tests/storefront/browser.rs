use std::collections::BTreeMap;

use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, LOCATION, SET_COOKIE},
};

/// As much of a browser as the tests need: it keeps cookies, remembers the page's token, and shows redirects.
pub(crate) struct Browser {
    http: reqwest::Client,
    base: String,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Sent with every request.
    pub(crate) headers: BTreeMap<&'static str, String>,
    /// Of the last page with a form.
    pub(crate) csrf: String,
}

/// What the browser got.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// The value of the hidden field `name`.
    pub(crate) fn hidden(&self, name: &str) -> &str {
        let (_, rest) = self.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_default();
        rest.split('"').next().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        assert!(self.body.contains(text), "{text} is not on the page: {}", self.body);
    }

    #[track_caller]
    pub(crate) fn hides(&self, text: &str) {
        assert!(!self.body.contains(text), "{text} is on the page: {}", self.body);
    }
}

impl Browser {
    pub(crate) fn new(base: &str) -> Self {
        let http = shop_runtime::client::client().unwrap();
        let headers = [("accept-language", "en-GB,en;q=0.9".to_owned())];
        let headers = headers.into_iter().collect();
        Self { http, base: base.to_owned(), cookies: BTreeMap::new(), headers, csrf: String::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    /// Sends a form as the last page would, with its token.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let fields: Vec<(&str, &str)> =
            std::iter::once(("csrf", &*csrf)).chain(fields.iter().copied()).collect();
        let request = self.request(Method::POST, path).form(&fields);
        self.send(request).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    pub(crate) async fn send(&mut self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, body: response.text().await.unwrap() };
        if !answer.hidden("csrf").is_empty() {
            self.csrf = answer.hidden("csrf").to_owned();
        }
        answer
    }
}
