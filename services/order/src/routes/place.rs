use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use shop_core::{Email, Language, Money, OrderId, ProductId};
use shop_runtime::{
    TraceParent,
    http::{Json, Problem, Problems},
};
use utoipa::ToSchema;

use super::{
    client::Client,
    idempotency_key::IdempotencyKey,
    language,
    prefer::Wait,
    refusal::Refusal,
    representation::PlacedBody,
    settled::{self, Placed},
};
use crate::{
    app::App,
    domain::{Basket, Customer, Line, Order, OrderToken, Viewer},
    store::{Answer, KeyState, Reservation},
};

/// A new order.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct NewOrder {
    /// The guest's address. With a token it is the token's address, and may be left out.
    customer_email: Option<Email>,
    /// At most 50 different products; lines with the same product are added up.
    #[schema(min_items = 1)]
    items: Vec<NewItem>,
}

/// A line of a new order.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct NewItem {
    #[schema(value_type = i64, minimum = 1, examples(1))]
    product_id: ProductId,
    /// The quantity, at most 1000 of a product.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: u32,
    /// The price per piece that the customer saw. The order is refused if it has changed.
    price: Option<Money>,
}

impl From<&NewItem> for Line {
    fn from(item: &NewItem) -> Self {
        Self { product_id: item.product_id, quantity: item.quantity, price: item.price }
    }
}

/// Places an order at the catalog's prices
///
/// The order is pending: stock is reserved and the customer charged afterwards. With `Prefer: wait=10` the response's body waits until
/// the order is confirmed or cancelled, for that many seconds at most, and shows it as it is then.
///
/// With an `Idempotency-Key` the request can be repeated for 24 hours and gets the same response; with `Prefer`, the same order as it
/// is then. A refusal has no effect, so it is not stored, and its key can be used again.
///
/// The response to a guest contains an `order_token`, with which the order can be read and cancelled. It is shown only here,
/// and again to anybody who repeats the request with its `Idempotency-Key`: guests must use keys that nobody can guess, such as
/// UUIDs.
#[utoipa::path(
    post,
    path = "/orders",
    tag = "orders",
    params(
        (
            "Idempotency-Key" = Option<String>, Header,
            pattern = "^([!#-\\[\\]-~]{1,255}|\"([ !#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\")$",
            description = "A key of the client's choice: the request is carried out once. One word, or a quoted string, of 1 to 255 \
                           characters (draft-ietf-httpapi-idempotency-key-header)"
        ),
        (
            "Prefer" = Option<String>, Header, example = "wait=10",
            description = "`wait=N`: wait for at most N seconds, and at most 30, until the order is confirmed or cancelled (RFC 7240)"
        ),
        (
            "Accept-Language" = Option<String>, Header, example = "ru",
            description = "The language in which the customer is written to: Russian or English"
        ),
    ),
    request_body = NewOrder,
    security(("bearer" = []), ()),
    responses(
        (status = 201, body = PlacedBody, description = "The order is placed",
            headers(
                ("Location" = String, description = "The order"),
                ("Preference-Applied" = String, description = "`wait=N`, if the response waits for the settled order"),
            )),
        Problems<(DbErr, Viewer, Option<IdempotencyKey>, Json<NewOrder>, Refusal)>,
    )
)]
pub(super) async fn place(
    State(app): State<App>,
    viewer: Viewer,
    key: Option<IdempotencyKey>,
    client: Client,
    headers: HeaderMap,
    Json(request): Json<NewOrder>,
) -> Result<Response, Problem> {
    let placing = Placing { app: &app, key, client, language: language::preferred(&headers), request };
    match placing.placed(&viewer).await {
        Ok((answer, token)) => respond(&app, viewer, answer, token, Wait::of(&headers)).await,
        Err(refusal) => {
            app.metrics.refused(refusal.reason());
            refusal.log();
            Err(refusal.into())
        }
    }
}

/// A request to place an order.
struct Placing<'a> {
    app: &'a App,
    key: Option<IdempotencyKey>,
    client: Client,
    language: Option<Language>,
    request: NewOrder,
}

/// The response to a request, and the token that belongs to it.
type Told = (Answer, Option<OrderToken>);

impl Placing<'_> {
    /// Validates the request, and carries it out once per key.
    async fn placed(&self, viewer: &Viewer) -> Result<Told, Refusal> {
        let customer = viewer.customer(self.request.customer_email.as_ref())?;
        let basket = Basket::new(self.request.items.iter().map(Line::from))?;
        let Self { app, client, .. } = self;
        if customer.account.is_none() {
            app.guest_rate.take(&customer.email, client.0, app.clock.now())?;
        }
        let Some(key) = &self.key else {
            return self.carry_out(customer, &basket, None).await;
        };
        let reservation = match app.store.reserve(key.of(&customer), fingerprint(&self.request)?).await? {
            KeyState::Reserved(reservation) => reservation,
            KeyState::Answered(answer) => {
                if customer.account.is_none() {
                    app.guest_rate.give_back(&customer.email, client.0);
                }
                let pad = key.pad(&answer.location);
                let token = answer.sealed_token.map(|sealed| OrderToken::unseal(sealed, &pad));
                return Ok((answer, token));
            }
            KeyState::Running => return Err(Refusal::KeyInProgress),
            KeyState::OtherRequest => return Err(Refusal::KeyReused),
        };
        let outcome = self.carry_out(customer, &basket, Some(&reservation)).await;
        if outcome.is_err()
            && let Err(error) = app.store.release(&reservation).await
        {
            // The lease will expire.
            tracing::warn!(%error, "an idempotency key could not be released");
        }
        outcome
    }

    /// Prices the basket, and writes the order together with the response to the request.
    async fn carry_out(
        &self,
        customer: Customer,
        basket: &Basket,
        reservation: Option<&Reservation>,
    ) -> Result<Told, Refusal> {
        let app = self.app;
        let products = app.catalog.products(&basket.product_ids()).await?;
        let quote = basket.quote(&products)?;
        let token = customer.account.is_none().then(|| OrderToken::new(rand::random()));
        let order = Order {
            language: self.language,
            trace_parent: TraceParent::current().as_text().map(ToOwned::to_owned),
            ..Order::place(OrderId(app.clock.new_id()), customer, quote, app.clock.now())
        };
        let location = format!("/orders/{}", order.id);
        let pad = self.key.as_ref().map(|key| key.pad(&location));
        let answer = Answer {
            status: StatusCode::CREATED.as_u16(),
            body: serde_json::to_string(&PlacedBody::from(&order)).map_err(anyhow::Error::from)?,
            sealed_token: token.as_ref().zip(pad).map(|(token, pad)| token.seal(&pad)),
            location,
        };
        let kept = reservation.map(|reservation| (reservation, &answer));
        let created = order.created(self.sealed(&order, token.as_ref())?);
        app.store.place(&order, &created, token.as_ref().map(OrderToken::hash), kept).await?;
        app.metrics.placed.inc();
        tracing::info!(order = %order.id, "an order was placed");
        Ok((answer, token))
    }

    /// The token of a guest's order, as only the notification service can read it.
    fn sealed(&self, order: &Order, token: Option<&OrderToken>) -> anyhow::Result<Option<String>> {
        let Some((envelope, token)) = self.app.envelope.as_ref().zip(token) else { return Ok(None) };
        envelope.seal(token.reveal().as_bytes(), order.id.to_string().as_bytes()).map(Some)
    }
}

/// Distinguishes requests with the same key: a hash of the request as it was understood, so that white space does not matter.
fn fingerprint(request: &NewOrder) -> Result<[u8; 32], Refusal> {
    let request = serde_json::to_vec(request).map_err(anyhow::Error::from)?;
    Ok(Sha256::digest(request).into())
}

async fn respond(
    app: &App,
    viewer: Viewer,
    answer: Answer,
    token: Option<OrderToken>,
    wait: Option<Wait>,
) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(Problem::internal)?;
    let id = answer.location.trim_start_matches("/orders/").parse().map_err(Problem::internal)?;
    let location = HeaderValue::try_from(answer.location).map_err(Problem::internal)?;
    let json = HeaderValue::from_static("application/json");
    let stored = match &token {
        Some(token) => with_token(answer.body, token),
        None => answer.body,
    };
    // A guest reads the order by its token.
    let viewer = token.as_ref().map_or(viewer, |token| Viewer::Holder(token.hash()));
    let settled = match wait {
        Some(wait) => settled::body(app, Placed { id, viewer, token }, wait, stored.clone()).await,
        None => None,
    };
    let applied = wait.filter(|_| settled.is_some()).map(|wait| (Wait::APPLIED, wait.applied()));
    let fixed = [(header::LOCATION, location), (header::CONTENT_TYPE, json)];
    let body = settled.unwrap_or_else(|| stored.into());
    let mut response = (status, fixed, body).into_response();
    response.headers_mut().extend(applied);
    Ok(response)
}

/// The stored response, unchanged, with the token as its last member.
fn with_token(mut order: String, token: &OrderToken) -> String {
    order.pop();
    // Base64url needs no escapes.
    order + ",\"order_token\":\"" + &token.reveal() + "\"}"
}
