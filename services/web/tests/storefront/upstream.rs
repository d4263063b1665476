//! Services of the tests: each answers by the real contract, remembers what it was asked, and can be told to
//! misbehave.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

pub(crate) const ORDER_ID: &str = "01936f00-0000-7000-8000-00000000c0de";

/// What makes the order a guest's.
pub(crate) const ORDER_TOKEN: &str = "gu3st-s3cret_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(crate) const ADMIN: &str = "admin@example.com";

fn admin_token() -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"1","roles":["admin"]}"#);
    format!("head.{claims}.signature")
}

/// What a service was asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A status, a header and a body to answer instead.
type Mishap = (u16, Option<(&'static str, &'static str)>, Vec<u8>);

#[derive(Clone)]
pub(crate) struct Upstream {
    port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    answer: fn(&Inner, &Asked) -> Response,
    asked: Mutex<Vec<Asked>>,
    mishap: Mutex<Option<Mishap>>,
    /// What order_service tells of its one order, beside what [`an_order`] says.
    order: Mutex<Value>,
    told: watch::Sender<Told>,
}

/// A stream of events: what has been told so far, and whether that is all.
#[derive(Default)]
struct Told {
    events: Vec<String>,
    has_ended: bool,
}

impl Upstream {
    async fn start(answer: fn(&Inner, &Asked) -> Response) -> Self {
        let inner = Arc::new(Inner {
            answer,
            asked: Mutex::default(),
            mishap: Mutex::default(),
            order: Mutex::new(json!({})),
            told: watch::Sender::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(respond).with_state(Arc::clone(&inner));
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, inner }
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// What was asked so far, health aside.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// The last question.
    pub(crate) fn last(&self) -> Asked {
        self.asked().pop().expect("a question")
    }

    /// From now on answers with a problem of kind `slug`.
    pub(crate) fn refuses(&self, status: u16, slug: &str, more: &Value) {
        let mut problem = json!({ "type": format!("https://shop.dev/problems/{slug}"), "status": status });
        for (key, value) in more.as_object().into_iter().flatten() {
            problem[key] = value.clone();
        }
        self.answers(status, None, problem.to_string().as_bytes());
    }

    /// From now on answers with this.
    pub(crate) fn answers(&self, status: u16, header: Option<(&'static str, &'static str)>, body: &[u8]) {
        *self.inner.mishap.lock().unwrap() = Some((status, header, body.to_vec()));
    }

    /// From now on the order has these members.
    pub(crate) fn order_becomes(&self, more: Value) {
        *self.inner.order.lock().unwrap() = more;
    }

    /// Tells a step to everybody who follows the order, with a detail for people of the shop.
    pub(crate) fn tells(&self, seq: u64, event: &str, status: &str) {
        let data = json!({
            "seq": seq, "at": "2026-11-23T11:00:05Z", "event": event, "status": status, "detail": "for the shop alone",
        });
        let event = format!("id: {seq}\nevent: {event}\ndata: {data}\n\n");
        self.inner.told.send_modify(|told| told.events.push(event));
    }

    /// Ends the streams of those who follow the order.
    pub(crate) fn ends_streams(&self) {
        self.inner.told.send_modify(|told| told.has_ended = true);
    }

    /// Answers by its contract again.
    pub(crate) fn recovers(&self) {
        *self.inner.mishap.lock().unwrap() = None;
    }
}

async fn respond(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 100_000).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let asked = Asked { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    inner.asked.lock().unwrap().push(asked.clone());
    match inner.mishap.lock().unwrap().clone() {
        None => (inner.answer)(&inner, &asked),
        Some((status, header, body)) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            if let Some((name, value)) = header {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
    }
}

/// The three services behind the storefront.
pub(crate) struct Upstreams {
    pub(crate) auth: Upstream,
    pub(crate) catalog: Upstream,
    pub(crate) order: Upstream,
}

impl Upstreams {
    pub(crate) async fn start() -> Self {
        Self {
            auth: Upstream::start(auth).await,
            catalog: Upstream::start(catalog).await,
            order: Upstream::start(order).await,
        }
    }
}

fn answer(status: u16, body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(status).unwrap(), json, body.to_string()).into_response()
}

fn not_found() -> Response {
    answer(404, &json!({ "type": "https://shop.dev/problems/not-found", "status": 404 }))
}

fn auth(_: &Inner, asked: &Asked) -> Response {
    let token = if asked.body["email"] == ADMIN { admin_token() } else { "the.users.token".to_owned() };
    let token = json!({ "access_token": token, "token_type": "bearer", "expires_in": 3600 });
    match (asked.method.as_str(), asked.uri.path()) {
        ("POST", "/auth/register") => answer(201, &token),
        ("POST", "/auth/token") if asked.body["password"] == "password123" => answer(200, &token),
        ("POST", "/auth/token") => {
            answer(401, &json!({ "type": "https://shop.dev/problems/bad-credentials", "status": 401 }))
        }
        _ => not_found(),
    }
}

fn products() -> Vec<Value> {
    let product = |id: i64, name: &str, price: f64, category: &str, stock: i64| {
        json!({
            "id": id, "name": name, "description": "A thing that is made well.", "price": price, "currency": "RUB",
            "category": category, "stock": stock, "picture": format!("/products/{id}/picture.svg"),
        })
    };
    vec![
        product(1, "Morning Mug", 500.0, "kitchen", 120),
        product(2, "Clay Teapot", 1500.0, "kitchen", 3),
        product(3, "<b>Lamp</b> & Co", 4900.5, "lighting", 0),
    ]
}

fn catalog(_: &Inner, asked: &Asked) -> Response {
    let query: Vec<(String, String)> = asked
        .uri
        .query()
        .map_or_else(Vec::new, |query| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect());
    let asks = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let path = asked.uri.path();
    if path == "/products" {
        let ids: Option<Vec<&str>> = asks("ids").map(|ids| ids.split(',').collect());
        let found: Vec<Value> = products()
            .into_iter()
            .filter(|product| ids.as_ref().is_none_or(|ids| ids.contains(&&*product["id"].to_string())))
            .filter(|product| asks("category").is_none_or(|category| product["category"] == category))
            .filter(|product| asks("q").is_none_or(|q| product["name"].as_str().unwrap().contains(q)))
            .collect();
        let mut response = answer(200, &Value::Array(found));
        if asks("category") == Some("kitchen") && asks("cursor").is_none() {
            let link = "</products?category=kitchen&limit=12&cursor=after%3D2>; rel=\"next\"";
            response.headers_mut().insert(header::LINK, link.parse().unwrap());
        }
        return response;
    }
    let id = path.strip_prefix("/products/").unwrap_or_default();
    if id == "1/picture.svg" {
        return ([(header::CONTENT_TYPE, "image/svg+xml")], "<svg xmlns='http://www.w3.org/2000/svg'/>")
            .into_response();
    }
    products()
        .iter()
        .find(|product| product["id"].as_i64() == id.parse().ok())
        .map_or_else(not_found, |found| answer(200, found))
}

pub(crate) fn an_order(status: &str) -> Value {
    json!({
        "id": ORDER_ID, "customer_email": "user@example.com", "total_amount": 2500.0, "currency": "RUB",
        "status": status, "created_at": "2026-11-23T11:00:00Z",
        "items": [
            { "product_id": 1, "name": "Morning Mug", "quantity": 2, "price": 500.0 },
            { "product_id": 2, "name": "Clay Teapot", "quantity": 1, "price": 1500.0 },
        ],
    })
}

fn order(inner: &Inner, asked: &Asked) -> Response {
    let header = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let path = asked.uri.path();
    match (header("x-order-token"), header("authorization").and_then(|value| value.strip_prefix("Bearer "))) {
        (None, Some(token)) if token == "the.users.token" || token == admin_token() => {}
        (Some(ORDER_TOKEN), None) if path.starts_with("/orders/") => {}
        (Some(token), None) if token.len() == ORDER_TOKEN.len() => return not_found(),
        (Some(_), None) => {
            return answer(400, &json!({ "type": "https://shop.dev/problems/malformed-request" }));
        }
        _ => return answer(401, &json!({ "type": "https://shop.dev/problems/unauthorized", "status": 401 })),
    }
    let as_it_is = || {
        let mut order = an_order("pending");
        let more = inner.order.lock().unwrap().as_object().unwrap().clone();
        order.as_object_mut().unwrap().extend(more);
        order
    };
    let path = path.replace(ORDER_ID, "{id}");
    match (asked.method.as_str(), path.as_str()) {
        ("POST", "/orders") => answer(201, &an_order("pending")),
        ("GET", "/orders") => {
            let mut response = answer(200, &json!([as_it_is()]));
            response
                .headers_mut()
                .insert(header::LINK, "</orders?limit=10&cursor=c2>; rel=\"next\"".parse().unwrap());
            response
        }
        ("GET", "/orders/{id}") => answer(200, &as_it_is()),
        ("GET", "/orders/{id}/events") => events(inner.told.subscribe()),
        ("POST", "/orders/{id}/cancel") => answer(200, &an_order("cancelled")),
        _ => not_found(),
    }
}

fn events(told: watch::Receiver<Told>) -> Response {
    let events = stream::unfold((told, 0), |(mut told, next)| async move {
        let event = {
            let told = told.wait_for(|told| told.has_ended || told.events.len() > next).await.ok()?;
            told.events.get(next).cloned()?
        };
        Some((Ok::<_, Infallible>(event), (told, next + 1)))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}
