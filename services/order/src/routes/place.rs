use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use shop_core::{Email, Money, OrderId, ProductId};
use shop_runtime::http::{Json, Problem, ProblemBody};
use utoipa::ToSchema;

use super::{App, idempotency_key::IdempotencyKey, refusal::Refusal, representation::OrderBody};
use crate::{
    domain::{Basket, Customer, Line, Order, Viewer},
    store::{Answer, KeyState, Reservation},
};

/// An order to be placed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct NewOrder {
    /// For whom: a guest's address. With a token it is the token's, and may be left out.
    customer_email: Option<Email>,
    /// What: at most 50 different products; lines of one product are added up.
    #[schema(min_items = 1)]
    items: Vec<NewItem>,
}

/// A line of an order to be placed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct NewItem {
    product_id: ProductId,
    /// How many, at most 1000 of a product.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: u32,
    /// The price of one that the customer saw. The order is refused when it is another by now.
    price: Option<Money>,
}

impl From<&NewItem> for Line {
    fn from(item: &NewItem) -> Self {
        Self { product_id: item.product_id, quantity: item.quantity, price: item.price }
    }
}

/// Places an order at the catalog's prices
///
/// With an `Idempotency-Key` the request may be repeated for 24 hours and gets the same answer. A refusal has had no
/// effect, so it is not kept, and its key may be used again.
#[utoipa::path(
    post,
    path = "/orders",
    tag = "orders",
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "A key of the client's choice, at most 255 characters: the request is carried out once"
    )),
    request_body = NewOrder,
    security(("bearer" = []), ()),
    responses(
        (status = 201, body = OrderBody, headers(("Location" = String, description = "The order"))),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "The request is malformed"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "A valid token is needed"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "The order is for somebody else"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "`price-changed` (`product_id`, `current_price`), `out-of-stock` (`product_id`, `available`) or `idempotency-key-in-progress`"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json",
            description = "`unknown-product` (`product_id`), `invalid-value` or `idempotency-key-reused`"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "The catalog is away",
            headers(("Retry-After" = u32, description = "Seconds"))),
    )
)]
pub(super) async fn place(
    State(app): State<App>,
    viewer: Viewer,
    key: Option<IdempotencyKey>,
    Json(request): Json<NewOrder>,
) -> Result<Response, Problem> {
    match placed(&app, &viewer, key, &request).await {
        Ok(answer) => respond(answer),
        Err(refusal) => {
            app.metrics.refused(refusal.reason());
            Err(refusal.into())
        }
    }
}

/// Checks the request, and carries it out once for each key.
async fn placed(
    app: &App,
    viewer: &Viewer,
    key: Option<IdempotencyKey>,
    request: &NewOrder,
) -> Result<Answer, Refusal> {
    let customer = viewer.customer(request.customer_email.as_ref())?;
    let basket = Basket::new(request.items.iter().map(Line::from))?;
    let Some(key) = key else {
        return carry_out(app, customer, &basket, None).await;
    };
    let reservation = match app.store.reserve(key.of(&customer), fingerprint(request)?).await? {
        KeyState::Reserved(reservation) => reservation,
        KeyState::Answered(answer) => return Ok(answer),
        KeyState::Running => return Err(Refusal::KeyInProgress),
        KeyState::OtherRequest => return Err(Refusal::KeyReused),
    };
    let outcome = carry_out(app, customer, &basket, Some(&reservation)).await;
    if outcome.is_err()
        && let Err(error) = app.store.release(&reservation).await
    {
        // The lease will run out.
        tracing::warn!(%error, "an idempotency key could not be released");
    }
    outcome
}

/// Prices the basket, and writes the order together with the answer to the request.
async fn carry_out(
    app: &App,
    customer: Customer,
    basket: &Basket,
    reservation: Option<&Reservation>,
) -> Result<Answer, Refusal> {
    let products = app.catalog.products(&basket.product_ids()).await?;
    let quote = basket.quote(&products)?;
    let order = Order::place(OrderId(app.clock.new_id()), customer, quote, app.clock.now());
    let answer = Answer {
        status: StatusCode::CREATED.as_u16(),
        location: format!("/orders/{}", order.id),
        body: serde_json::to_string(&OrderBody::from(&order)).map_err(anyhow::Error::from)?,
    };
    app.store.place(&order, reservation.map(|reservation| (reservation, &answer))).await?;
    app.metrics.placed.inc();
    tracing::info!(order = %order.id, "an order was placed");
    Ok(answer)
}

/// What tells two requests with one key apart: the request as it was understood, so that white space does not matter.
fn fingerprint(request: &NewOrder) -> Result<[u8; 32], Refusal> {
    let request = serde_json::to_vec(request).map_err(anyhow::Error::from)?;
    Ok(Sha256::digest(request).into())
}

fn respond(answer: Answer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(Problem::internal)?;
    let location = HeaderValue::try_from(answer.location).map_err(Problem::internal)?;
    let json = HeaderValue::from_static("application/json");
    Ok((status, [(header::LOCATION, location), (header::CONTENT_TYPE, json)], answer.body).into_response())
}
