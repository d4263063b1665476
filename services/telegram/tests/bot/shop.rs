use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use futures_util::stream;
use serde_json::{Value, json};
use shop_runtime::seal::Seal;
use shop_testing::bot_api::TOKEN;
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

pub(crate) const EMAIL: &str = "user@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const JWT: &str = "header.s3cret-payload.signature";

/// auth, catalog, order and notification in one, as far as the bot asks.
pub(crate) struct FakeShop {
    pub(crate) url: String,
    state: Shared,
    _server: JoinSet<()>,
}

type Shared = Arc<Mutex<ShopState>>;

#[derive(Default)]
pub(crate) struct ShopState {
    pub(crate) products: Vec<Value>,
    pub(crate) orders: Vec<Value>,
    /// By `Idempotency-Key`.
    placed: HashMap<String, (Value, Value)>,
    /// Every `POST /orders`: its key and its body.
    pub(crate) asked: Vec<(String, Value)>,
    /// Paths that begin like this are answered with 503.
    pub(crate) away: HashSet<&'static str>,
    /// As many answers to `POST /orders` get lost after the order is placed.
    pub(crate) lost_answers: usize,
    /// How long an order takes.
    pub(crate) slow_orders: Duration,
    pub(crate) tokens_expired: bool,
    pub(crate) expires_in: u32,
    pub(crate) too_many_logins: bool,
    /// The streams of orders' lives that were opened so far.
    pub(crate) followed: usize,
    /// The chats that get news of orders, with their languages.
    pub(crate) linked: HashMap<i64, String>,
}

impl ShopState {
    /// Gives the order with this number, counted from 1, a status and other members.
    pub(crate) fn order_becomes(&mut self, number: usize, status: &str, more: &Value) {
        let order = self.orders[number - 1].as_object_mut().unwrap();
        order.insert("status".to_owned(), json!(status));
        order.extend(more.as_object().cloned().unwrap_or_default());
    }
}

impl FakeShop {
    pub(crate) async fn start() -> Self {
        let products = (1..=20).map(|id| {
            let price = if id == 1 { 500.0 } else { 1500.0 };
            json!({
                "id": id, "name": format!("Thing <{id}>"), "description": "Nice & useful", "price": price,
                "currency": "RUB", "category": "things", "stock": 5, "picture": format!("/products/{id}/picture.svg"),
            })
        });
        let state = ShopState { products: products.collect(), expires_in: 3600, ..ShopState::default() };
        let state = Arc::new(Mutex::new(state));
        let router = Router::new()
            .route("/health", get(|| async {}))
            .route("/auth/token", post(log_in))
            .route("/products", get(products_page))
            .route("/orders", get(orders_page).post(place))
            .route("/orders/{id}", get(order))
            .route("/orders/{id}/cancel", post(cancel))
            .route("/orders/{id}/events", get(events))
            .route("/telegram-links", put(link))
            .route("/telegram-links/{chat}", delete(unlink))
            .layer(middleware::from_fn_with_state(state.clone(), gate))
            .with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, _server: server }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ShopState> {
        self.state.lock().unwrap()
    }
}

/// A problem, smaller than a whole response.
type Refusal = (StatusCode, [(&'static str, &'static str); 1], String);

fn problem(status: u16, slug: &str, more: &Value) -> Refusal {
    let mut body =
        json!({ "type": format!("https://shop.dev/problems/{slug}"), "title": slug, "status": status });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let content_type = [("content-type", "application/problem+json")];
    (StatusCode::from_u16(status).unwrap(), content_type, body.to_string())
}

async fn gate(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let away = state.lock().unwrap().away.iter().any(|away| path.starts_with(away));
    if away { problem(503, "unavailable", &json!({})).into_response() } else { next.run(request).await }
}

async fn log_in(State(state): State<Shared>, Json(body): Json<Value>) -> Response {
    let state = state.lock().unwrap();
    if state.too_many_logins {
        return problem(429, "too-many-attempts", &json!({})).into_response();
    }
    if body != json!({ "email": EMAIL, "password": PASSWORD }) {
        return problem(401, "bad-credentials", &json!({})).into_response();
    }
    Json(json!({ "access_token": JWT, "token_type": "bearer", "expires_in": state.expires_in }))
        .into_response()
}

/// As the real services do it: `limit` items from `cursor` on, and a `Link` when there are more.
fn page(items: &[Value], path: &str, query: &HashMap<String, String>) -> Response {
    let number = |name: &str, default: usize| query.get(name).map_or(default, |text| text.parse().unwrap());
    let (skip, limit) = (number("cursor", 0), number("limit", 100).min(7));
    let page: Vec<_> = items.iter().skip(skip).take(limit).cloned().collect();
    let next = skip + limit;
    let mut headers = HeaderMap::new();
    if next < items.len() {
        let link = format!("<{path}?limit={limit}&cursor={next}>; rel=\"next\"");
        headers.insert("link", link.parse().unwrap());
    }
    (headers, Json(page)).into_response()
}

async fn products_page(
    State(state): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let state = state.lock().unwrap();
    match query.get("ids") {
        Some(ids) => {
            let ids: Vec<i64> = ids.split(',').map(|id| id.parse().unwrap()).collect();
            let known =
                state.products.iter().filter(|product| ids.contains(&product["id"].as_i64().unwrap()));
            Json(known.cloned().collect::<Vec<_>>()).into_response()
        }
        None => page(&state.products, "/products", &query),
    }
}

fn authorized(state: &ShopState, headers: &HeaderMap) -> Result<(), Refusal> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token == Some(&format!("Bearer {JWT}")) && !state.tokens_expired {
        Ok(())
    } else {
        Err(problem(401, "unauthorized", &json!({})))
    }
}

async fn orders_page(
    State(state): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let state = state.lock().unwrap();
    if let Err(refusal) = authorized(&state, &headers) {
        return refusal.into_response();
    }
    let newest_first: Vec<_> = state.orders.iter().rev().cloned().collect();
    page(&newest_first, "/orders", &query)
}

async fn place(State(state): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let slow = state.lock().unwrap().slow_orders;
    let answer = try_to_place(&state, &headers, body);
    tokio::time::sleep(slow).await;
    let mut state = state.lock().unwrap();
    if state.lost_answers > 0 {
        state.lost_answers -= 1;
        return problem(500, "internal", &json!({})).into_response();
    }
    answer
}

fn try_to_place(state: &Shared, headers: &HeaderMap, body: Value) -> Response {
    let mut state = state.lock().unwrap();
    if let Err(refusal) = authorized(&state, headers) {
        return refusal.into_response();
    }
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    state.asked.push((key.clone(), body.clone()));
    if let Some((first, order)) = state.placed.get(&key) {
        return if *first == body {
            (StatusCode::CREATED, Json(order.clone())).into_response()
        } else {
            problem(422, "idempotency-key-reused", &json!({})).into_response()
        };
    }
    let mut total = 0.0;
    let mut items = Vec::new();
    for line in body["items"].as_array().unwrap() {
        let id = &line["product_id"];
        let Some(product) = state.products.iter().find(|product| product["id"] == *id) else {
            return problem(422, "unknown-product", &json!({ "product_id": id })).into_response();
        };
        let (price, quantity) = (product["price"].as_f64().unwrap(), line["quantity"].as_u64().unwrap());
        if line.get("price").is_some_and(|shown| shown.as_f64() != Some(price)) {
            return problem(409, "price-changed", &json!({ "product_id": id, "current_price": price }))
                .into_response();
        }
        if quantity > product["stock"].as_u64().unwrap() {
            return problem(409, "out-of-stock", &json!({ "product_id": id, "available": product["stock"] }))
                .into_response();
        }
        total += price * quantity as f64;
        items
            .push(json!({ "product_id": id, "name": product["name"], "quantity": quantity, "price": price }));
    }
    let order = json!({
        "id": Uuid::from_u128(state.orders.len() as u128 + 1), "customer_email": EMAIL, "total_amount": total,
        "currency": "RUB", "status": "pending", "items": items, "created_at": "2026-01-02T03:04:05Z",
    });
    state.orders.push(order.clone());
    state.placed.insert(key, (body, order.clone()));
    (StatusCode::CREATED, Json(order)).into_response()
}

fn find<'a>(state: &'a mut ShopState, headers: &HeaderMap, id: Uuid) -> Result<&'a mut Value, Refusal> {
    authorized(state, headers)?;
    let order = state.orders.iter_mut().find(|order| order["id"] == json!(id));
    order.ok_or_else(|| problem(404, "not-found", &json!({})))
}

async fn order(State(state): State<Shared>, headers: HeaderMap, Path(id): Path<Uuid>) -> Response {
    match find(&mut state.lock().unwrap(), &headers, id) {
        Ok(order) => Json(order.clone()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn cancel(State(state): State<Shared>, headers: HeaderMap, Path(id): Path<Uuid>) -> Response {
    match find(&mut state.lock().unwrap(), &headers, id) {
        Ok(order) if order["status"] == "shipped" => {
            problem(409, "not-cancellable", &json!({})).into_response()
        }
        Ok(order) => {
            order["status"] = json!("cancelled");
            Json(order.clone()).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// A step for every new status of the order, until it is over.
async fn events(State(state): State<Shared>, headers: HeaderMap, Path(id): Path<Uuid>) -> Response {
    let status = match find(&mut state.lock().unwrap(), &headers, id) {
        Ok(order) => order["status"].clone(),
        Err(refusal) => return refusal.into_response(),
    };
    state.lock().unwrap().followed += 1;
    let steps = stream::unfold((state, status, 1), move |(state, told, seq)| async move {
        if told == "cancelled" || told == "delivered" {
            return None;
        }
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let orders = state.lock().unwrap().orders.clone();
            let now = &orders.iter().find(|order| order["id"] == json!(id))?["status"];
            if *now != told {
                let step = json!({ "seq": seq, "at": "2026-01-02T03:04:05Z", "event": now, "status": now });
                let text = format!("id: {seq}\ndata: {step}\n\n");
                return Some((Ok::<_, Infallible>(text), (state, now.clone(), seq + 1)));
            }
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(steps)).into_response()
}

/// Whether the bot, which has the token, makes this request.
fn is_proven(purpose: &str, headers: &HeaderMap, parts: &[&[u8]]) -> bool {
    Seal::new(purpose, TOKEN.as_bytes()).is_of(headers["x-bot-proof"].to_str().unwrap(), parts)
}

async fn link(State(state): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut state = state.lock().unwrap();
    if let Err(refusal) = authorized(&state, &headers) {
        return refusal.into_response();
    }
    let chat = body["chat_id"].to_string();
    if !is_proven("telegram-link", &headers, &[chat.as_bytes(), JWT.as_bytes()]) {
        return problem(403, "bot-proof-invalid", &json!({})).into_response();
    }
    let (chat, language) = (body["chat_id"].as_i64().unwrap(), body["language"].as_str().unwrap());
    state.linked.insert(chat, language.to_owned());
    StatusCode::NO_CONTENT.into_response()
}

async fn unlink(State(state): State<Shared>, headers: HeaderMap, Path(chat): Path<i64>) -> Response {
    if !is_proven("telegram-unlink", &headers, &[chat.to_string().as_bytes()]) {
        return problem(403, "bot-proof-invalid", &json!({})).into_response();
    }
    let mut state = state.lock().unwrap();
    state.linked.remove(&chat);
    StatusCode::NO_CONTENT.into_response()
}
