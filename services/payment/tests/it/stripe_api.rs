//! A stand-in for Stripe's API that behaves as its public documentation says, as far as the shop uses it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Form, Json, Router,
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "sk_test_4f1c0b7e9d2a4c55";

/// What goes wrong with the next call to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answered with this status, and not processed.
    Status(u16),
    /// Processed, and the connection breaks before the answer.
    AnswerLost,
    /// Not processed, and the connection breaks.
    Lost,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    pub(crate) form: HashMap<String, String>,
    pub(crate) status: String,
    pub(crate) charges: u32,
    pub(crate) refunds: u32,
    error: Option<Value>,
}

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) intents: HashMap<String, Intent>,
    pub(crate) faults: HashMap<&'static str, VecDeque<Fault>>,
    /// The calls to each endpoint.
    pub(crate) calls: Vec<String>,
    /// By key: the form, and the first response.
    keys: HashMap<String, (HashMap<String, String>, u16, Value)>,
}

/// A running stand-in.
#[derive(Clone)]
pub(crate) struct StripeApi {
    pub(crate) url: String,
    account: Arc<Mutex<Account>>,
}

type Shared = Arc<Mutex<Account>>;

impl StripeApi {
    pub(crate) async fn start() -> Self {
        let account = Shared::default();
        let router = Router::new()
            .route("/v1/payment_intents", post(create))
            .route("/v1/payment_intents/search", get(search))
            .route("/v1/payment_intents/{id}", get(retrieve))
            .route("/v1/payment_intents/{id}/confirm", post(confirm))
            .route("/v1/payment_intents/{id}/cancel", post(cancel))
            .route("/v1/refunds", post(refund))
            .layer(middleware::from_fn_with_state(account.clone(), gate))
            .with_state(account.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, account }
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    /// What goes wrong with the next calls to `endpoint`: `create`, `confirm`, `retrieve`, `search`, `cancel` or `refund`.
    pub(crate) fn faults(&self, endpoint: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.account().faults.entry(endpoint).or_default().extend(faults);
    }

    /// The only PaymentIntent.
    pub(crate) fn intent(&self) -> Intent {
        let account = self.account();
        assert_eq!(account.intents.len(), 1, "{:?}", account.intents);
        account.intents.values().next().unwrap().clone()
    }

    /// Forgets idempotency keys, as Stripe does after a day.
    pub(crate) fn prune_keys(&self) {
        self.account().keys.clear();
    }
}

fn endpoint(method: &str, path: &str) -> &'static str {
    match path.rsplit('/').next().unwrap_or_default() {
        "payment_intents" => "create",
        "confirm" => "confirm",
        "cancel" => "cancel",
        "refunds" => "refund",
        "search" => "search",
        _ if method == "GET" => "retrieve",
        _ => "unknown",
    }
}

/// Checks what every request has, and lets something go wrong.
async fn gate(State(account): State<Shared>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("stripe-version"), Some("2024-06-20"));
    assert_eq!(header("traceparent"), None, "what happens in the shop is none of Stripe's business");
    let is_authorized = header("authorization") == Some(&format!("Bearer {KEY}"));
    let endpoint = endpoint(request.method().as_str(), request.uri().path());
    let fault = {
        let mut account = account.lock().unwrap();
        account.calls.push(endpoint.to_owned());
        account.faults.get_mut(endpoint).and_then(VecDeque::pop_front)
    };
    if !is_authorized {
        let error =
            json!({ "type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_****" });
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": error }))).into_response();
    }
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => {
            let error = json!({ "error": { "type": "api_error" } });
            (StatusCode::from_u16(status).unwrap(), Json(error)).into_response()
        }
        Some(Fault::AnswerLost) => {
            next.run(request).await;
            broken()
        }
        Some(Fault::Lost) => broken(),
    }
}

/// The connection ends in the middle of the response.
fn broken() -> Response {
    let body = futures_util::stream::iter([Err::<String, _>(std::io::Error::other("broken"))]);
    axum::body::Body::from_stream(body).into_response()
}

type Fields = HashMap<String, String>;

/// A repeated request with an `Idempotency-Key` gets the first response.
fn idempotently(
    account: &Shared,
    headers: &HeaderMap,
    form: &Fields,
    execute: impl FnOnce(&mut Account) -> (u16, Value),
) -> Response {
    let mut account = account.lock().unwrap();
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    if let Some((known, status, body)) = key.as_ref().and_then(|key| account.keys.get(key)) {
        if known != form {
            return answer(400, json!({ "error": { "type": "idempotency_error" } }));
        }
        return answer(*status, body.clone());
    }
    let (status, body) = execute(&mut account);
    if let Some(key) = key {
        account.keys.insert(key, (form.clone(), status, body.clone()));
    }
    answer(status, body)
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn object(id: &str, intent: &Intent) -> Value {
    json!({
        "id": id,
        "object": "payment_intent",
        "amount": intent.form["amount"].parse::<i64>().unwrap(),
        "currency": intent.form["currency"],
        "metadata": { "order_id": intent.form["metadata[order_id]"] },
        "status": intent.status,
        "last_payment_error": intent.error,
    })
}

fn unexpected(id: &str, intent: &Intent) -> (u16, Value) {
    let error = json!({
        "type": "invalid_request_error",
        "code": "payment_intent_unexpected_state",
        "message": format!("This PaymentIntent's status is {}.", intent.status),
        "payment_intent": object(id, intent),
    });
    (400, json!({ "error": error }))
}

async fn create(State(account): State<Shared>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    idempotently(&account, &headers, &form, |account| {
        if form["payment_method"] == "pm_unknown" {
            let error = json!({ "type": "invalid_request_error", "code": "resource_missing", "param": "payment_method" });
            return (400, json!({ "error": error }));
        }
        let id = format!("pi_{}", account.intents.len() + 1);
        let intent =
            Intent { form: form.clone(), status: "requires_confirmation".to_owned(), ..Intent::default() };
        let body = object(&id, &intent);
        account.intents.insert(id, intent);
        (200, body)
    })
}

async fn confirm(
    State(account): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<Fields>,
) -> Response {
    idempotently(&account, &headers, &form, |account| {
        let intent = account.intents.get_mut(&id).unwrap();
        if matches!(intent.status.as_str(), "succeeded" | "canceled") {
            return unexpected(&id, intent);
        }
        let needs_consent = intent.form["payment_method"] == "pm_card_authenticationRequired";
        if needs_consent {
            assert_eq!(form["error_on_requires_action"], "true");
        }
        if needs_consent || intent.form["payment_method"] == "pm_card_chargeDeclined" {
            let code = if needs_consent { "authentication_required" } else { "card_declined" };
            let error = json!({ "type": "card_error", "code": code, "message": "Your card was declined." });
            intent.status = "requires_payment_method".to_owned();
            intent.error = Some(error.clone());
            return (402, json!({ "error": error }));
        }
        intent.status = "succeeded".to_owned();
        intent.charges += 1;
        (200, object(&id, intent))
    })
}

async fn retrieve(State(account): State<Shared>, Path(id): Path<String>) -> Response {
    answer(200, object(&id, &account.lock().unwrap().intents[&id]))
}

async fn search(State(account): State<Shared>, Query(query): Query<Fields>) -> Response {
    let account = account.lock().unwrap();
    let found = account.intents.iter().filter(|(_, intent)| {
        query["query"] == format!("metadata['order_id']:'{}'", intent.form["metadata[order_id]"])
    });
    let data: Vec<_> = found.map(|(id, intent)| object(id, intent)).collect();
    answer(200, json!({ "object": "search_result", "data": data, "has_more": false }))
}

async fn cancel(State(account): State<Shared>, Path(id): Path<String>) -> Response {
    let mut account = account.lock().unwrap();
    let intent = account.intents.get_mut(&id).unwrap();
    if matches!(intent.status.as_str(), "succeeded" | "canceled" | "processing") {
        let (status, body) = unexpected(&id, intent);
        return answer(status, body);
    }
    intent.status = "canceled".to_owned();
    answer(200, object(&id, intent))
}

async fn refund(State(account): State<Shared>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    idempotently(&account, &headers, &form, |account| {
        let intent = account.intents.get_mut(&form["payment_intent"]).unwrap();
        assert_eq!(intent.status, "succeeded");
        if intent.refunds > 0 {
            let error = json!({ "type": "invalid_request_error", "code": "charge_already_refunded" });
            return (400, json!({ "error": error }));
        }
        intent.refunds += 1;
        (200, json!({ "id": "re_1", "object": "refund", "status": "succeeded" }))
    })
}
