use std::collections::BTreeMap;

use reqwest::{Client, Response, header};

/// A visitor of the storefront without a browser: keeps cookies, follows redirects, fills in forms.
pub(crate) struct Visitor {
    client: Client,
    shop: String,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn new(shop: &str) -> Self {
        Self { client: super::http(), shop: shop.to_owned(), cookies: BTreeMap::new() }
    }

    /// Loads the page at `path`, following redirects.
    pub(crate) async fn get(&mut self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let request =
                self.client.get(format!("{}{path}", self.shop)).header(header::COOKIE, self.cookie());
            let answer = self.keep_cookies(request.send().await.unwrap());
            match answer.headers().get(header::LOCATION) {
                Some(next) => next.to_str().unwrap().clone_into(&mut path),
                None => {
                    assert_eq!(answer.status(), 200, "GET {path}");
                    return answer.text().await.unwrap();
                }
            }
        }
        panic!("{path} redirects without end");
    }

    /// Sends the form for `action` on `page`, with its hidden fields and `fields`; returns the page that follows.
    pub(crate) async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> String {
        let mut form = hidden_fields(page, action);
        form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let request = self
            .client
            .post(format!("{}{action}", self.shop))
            .header(header::COOKIE, self.cookie())
            .header(header::ORIGIN, &self.shop)
            .form(&form);
        let answer = self.keep_cookies(request.send().await.unwrap());
        let status = answer.status();
        let Some(next) = answer.headers().get(header::LOCATION) else {
            panic!("POST {action}: {status}\n{}", answer.text().await.unwrap());
        };
        let next = next.to_str().unwrap().to_owned();
        self.get(&next).await
    }

    fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, answer: Response) -> Response {
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// The hidden fields of the first form whose action is `action`.
fn hidden_fields(page: &str, action: &str) -> BTreeMap<String, String> {
    let form = page
        .split("<form")
        .skip(1)
        .find(|form| form.split('>').next().unwrap().contains(&format!("action=\"{action}\"")))
        .unwrap_or_else(|| panic!("no form for {action} on\n{page}"));
    let form = form.split("</form>").next().unwrap();
    form.split("<input")
        .skip(1)
        .map(|input| input.split('>').next().unwrap())
        .filter(|input| input.contains("type=\"hidden\""))
        .map(|input| (attribute(input, "name"), attribute(input, "value")))
        .collect()
}

fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split(&format!(" {name}=\"")).nth(1).unwrap_or_default().split('"').next().unwrap();
    value.replace("&#38;", "&").replace("&#34;", "\"").replace("&amp;", "&").replace("&quot;", "\"")
}
