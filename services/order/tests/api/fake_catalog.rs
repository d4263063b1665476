//! A catalog that follows the contract: `GET /products?ids=1,2&limit=2`, a JSON array.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::{Value, json};
use shop_runtime::{Scope, http::serve};
use tokio::net::TcpListener;

/// A small catalog: product 1 costs 500.00, product 2 costs 1500.00, and there are two of product 3.
#[derive(Clone)]
pub(crate) struct FakeCatalog {
    /// `http://127.0.0.1:…`
    pub(crate) url: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    products: BTreeMap<i64, Value>,
    mood: Mood,
    asked: Vec<String>,
}

/// How the catalog responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Failing,
    Refusing,
    Silent,
    Babbling,
    Endless,
    OffTheShape,
}

impl FakeCatalog {
    pub(crate) async fn start(scope: &Scope) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let products =
            [(1, "500.00", 100_000), (2, "1500.00", 100_000), (3, "0.10", 2), (4, "9999999999.99", 5)];
        let products =
            products.into_iter().map(|(id, price, stock)| (id, product(id, price, stock))).collect();
        let shared = Arc::new(Mutex::new(Shared { products, mood: Mood::Well, asked: Vec::new() }));
        let router = Router::new()
            .route("/products", get(products_of))
            .route("/health", get(|| async { "{}" }))
            .with_state(Arc::clone(&shared));
        serve(listener, router, scope);
        Self { url, shared }
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.shared.lock().unwrap().mood = mood;
    }

    pub(crate) fn set(&self, id: i64, price: &str, stock: i64) {
        self.shared.lock().unwrap().products.insert(id, product(id, price, stock));
    }

    /// The `ids` of every request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.lock().unwrap().asked.clone()
    }
}

fn product(id: i64, price: &str, stock: i64) -> Value {
    let price: Value = serde_json::from_str(price).unwrap();
    json!({
        "id": id, "name": format!("Product {id}"), "description": "", "price": price, "currency": "RUB",
        "category": "things", "stock": stock, "picture": format!("/products/{id}/picture.svg"),
    })
}

async fn products_of(
    State(shared): State<Arc<Mutex<Shared>>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let ids = query["ids"].clone();
    let wanted: Vec<i64> = ids.split(',').map(|id| id.parse().unwrap()).collect();
    assert!(query["limit"].parse::<usize>().unwrap() >= wanted.len());
    let (mood, found) = {
        let mut shared = shared.lock().unwrap();
        shared.asked.push(ids);
        let found: Vec<Value> = wanted.iter().filter_map(|id| shared.products.get(id)).cloned().collect();
        (shared.mood, found)
    };
    match mood {
        Mood::Well => Json(found).into_response(),
        Mood::Failing => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Refusing => StatusCode::BAD_REQUEST.into_response(),
        Mood::Silent => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Json(found).into_response()
        }
        Mood::Babbling => "<html>".into_response(),
        Mood::Endless => Json("x".repeat(3 * 1024 * 1024)).into_response(),
        Mood::OffTheShape => Json(json!([{ "id": 1, "name": "Product 1", "price": "500" }])).into_response(),
    }
}
