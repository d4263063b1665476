//! Webhooks: a provider says that there is something to know about a payment. Whatever it says is only a reason to ask it.

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use http::{HeaderMap, StatusCode};
use sea_orm::DbErr;
use serde::Deserialize;
use shop_core::OrderId;
use shop_runtime::{
    Periodically,
    http::{Documented, Problem, Problems},
};

use crate::{
    app::App,
    provider::{STRIPE, simulated},
    signature::BadSignature,
};

/// What is read of a webhook of either provider: the order.
#[derive(Deserialize)]
struct Webhook {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    /// The simulated provider's.
    order_id: Option<OrderId>,
    /// Stripe's.
    object: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    order_id: Option<OrderId>,
}

/// Why a webhook is refused.
pub(super) enum Refusal {
    /// The provider is another one, or there is no secret.
    Unexpected,
    /// The body is larger than allowed, or did not arrive.
    Body(StatusCode),
    /// Not signed by the provider.
    Signature(BadSignature),
}

/// Takes a webhook of the simulated provider
///
/// Signed as Stripe's are: `t=<unix seconds>,v1=<HMAC-SHA256 of "t.body" in hex>`, at most five minutes ago.
#[utoipa::path(
    post,
    path = "/webhooks/simulated",
    tag = "webhooks",
    params(("Simulated-Signature" = String, Header, description = "The signature")),
    request_body(content = String, content_type = "application/json"),
    responses((status = 204, description = "The provider is asked, if there is a reason to"), Problems<(DbErr, Refusal)>)
)]
pub(super) async fn simulated(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    take(&app, simulated::NAME, simulated::HEADER, &headers, body).await
}

/// Takes a webhook of Stripe
///
/// The events `payment_intent.*` are of use; all others are accepted and ignored.
#[utoipa::path(
    post,
    path = "/webhooks/stripe",
    tag = "webhooks",
    params(("Stripe-Signature" = String, Header, description = "The signature")),
    request_body(content = String, content_type = "application/json"),
    responses((status = 204, description = "The provider is asked, if there is a reason to"), Problems<(DbErr, Refusal)>)
)]
pub(super) async fn stripe(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    take(&app, STRIPE, "stripe-signature", &headers, body).await
}

async fn take(
    app: &App,
    provider: &str,
    header: &str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|error| Refusal::Body(error.status()))?;
    // Without the header it is no webhook of anybody, whichever provider is configured.
    let signature = headers.get(header).ok_or(Refusal::Signature(BadSignature::Malformed))?;
    let signature = signature.to_str().unwrap_or_default();
    let key = app.webhook_key.as_ref().filter(|_| app.provider == provider).ok_or(Refusal::Unexpected)?;
    if let Err(error) = key.verify(signature, &body, app.clock.now()) {
        static UNSIGNED: Periodically = Periodically::line();
        if let Some(count) = UNSIGNED.due() {
            tracing::warn!(%error, count, "webhooks without a valid signature were refused");
        }
        return Err(Refusal::Signature(error).into());
    }
    app.metrics.webhooks.inc();
    // A signed event that is not about an order of ours is none of our business: an account may have other uses.
    if let Some(order_id) = order_of(&body)
        && app.store.hasten(order_id).await?
    {
        app.wake.notify_one();
    }
    Ok(StatusCode::NO_CONTENT)
}

fn order_of(body: &[u8]) -> Option<OrderId> {
    let Webhook { data } = serde_json::from_slice(body).ok()?;
    data.order_id.or_else(|| data.object?.metadata?.order_id)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unexpected => Self::not_found(
                "No webhooks of this provider are expected: it is not used, or there is no secret.",
            ),
            Refusal::Body(StatusCode::PAYLOAD_TOO_LARGE) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            }
            Refusal::Body(_) => Self::bad_request("The body could not be read."),
            Refusal::Signature(error) => {
                Self::new(StatusCode::BAD_REQUEST, "bad-signature", "The webhook's signature is not valid")
                    .detail(error.to_string())
            }
        }
    }
}

impl Documented for Refusal {
    fn examples() -> Vec<Problem> {
        vec![
            Self::Unexpected.into(),
            Self::Body(StatusCode::PAYLOAD_TOO_LARGE).into(),
            Self::Signature(BadSignature::Wrong).into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_found_in_webhooks_of_both_providers_and_in_nothing_else() {
        let id = "0198c0de-0000-7000-8000-000000000001";
        let simulated = format!(r#"{{"type":"charge.succeeded","data":{{"order_id":"{id}"}}}}"#);
        let stripe = format!(r#"{{"data":{{"object":{{"id":"pi_1","metadata":{{"order_id":"{id}"}}}}}}}}"#);
        for body in [simulated, stripe] {
            assert_eq!(order_of(body.as_bytes()).unwrap().to_string(), id);
        }
        for body in ["", "{", "{}", r#"{"data":{}}"#, r#"{"data":{"object":{"metadata":{"order_id":"7"}}}}"#]
        {
            assert!(order_of(body.as_bytes()).is_none(), "{body}");
        }
    }
}
