//! Stripe's PaymentIntents, by its public API (<https://docs.stripe.com/api/payment_intents>).
//!
//! A payment is one PaymentIntent, and charging takes two calls: one creates it and charges nothing, the other confirms it. So an outcome
//! that is not known is asked about by creating it again with the same idempotency key, which returns the same PaymentIntent and
//! charges nothing, and by looking at it. A search alone would not do: by Stripe's documentation its index may be an hour behind. And
//! a PaymentIntent can be cancelled, after which no confirmation that is still on its way succeeds.

mod amount;
mod answer;
mod intent;

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use shop_core::Clock;
use tracing::{Instrument as _, field::Empty};
use url::Url;

use self::{
    amount::Charged,
    answer::{Answer, Rejection},
    intent::{Found, Intent, Refund},
};
use crate::{
    config::StripeConfig,
    domain::{Bill, CallError, Provider, Verdict},
};

/// The provider's name.
pub(crate) const NAME: &str = "stripe";

/// The version of the API that this code was written for.
const VERSION: &str = "2024-06-20";
/// Stripe forgets idempotency keys after 24 hours at the earliest.
const KEYS_LAST: TimeDelta = TimeDelta::hours(23);
/// The reference of an order that costs nothing: Stripe charges no zero.
const FREE: &str = "free";

/// A Stripe account.
pub(super) struct Stripe {
    http: Client,
    base: Url,
    key: SecretString,
    method: String,
    clock: Clock,
}

impl Stripe {
    /// The account of the configuration.
    ///
    /// # Errors
    /// There is no key.
    pub(super) fn new(config: &StripeConfig, clock: Clock) -> anyhow::Result<Self> {
        let key = config.required_key()?.clone();
        shop_runtime::install_crypto();
        // Unlike the shop's own calls, this one leaves the shop, so it uses the environment's proxy and carries no trace context.
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("shop/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, base: config.url.clone(), key, method: config.method.clone(), clock })
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        self.http.request(method, url).bearer_auth(self.key.expose_secret()).header("Stripe-Version", VERSION)
    }

    /// Sends `request` in a span; `name` has no ids in it.
    async fn send(&self, name: &'static str, request: RequestBuilder) -> Result<Answer, CallError> {
        let span = tracing::info_span!(
            "call",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            http.response.status_code = Empty,
        );
        answer::read(request).instrument(span).await
    }

    /// Creates the PaymentIntent, which charges nothing; returns the same one each time while Stripe remembers the key.
    async fn create(&self, bill: &Bill, amount: i64) -> Result<Result<Intent, Rejection>, CallError> {
        let form = [
            ("amount", amount.to_string()),
            ("currency", bill.currency.as_str().to_ascii_lowercase()),
            ("payment_method", self.method.clone()),
            // No redirects: the customer is not there.
            ("automatic_payment_methods[enabled]", "true".to_owned()),
            ("automatic_payment_methods[allow_redirects]", "never".to_owned()),
            ("description", format!("Order {}", bill.order_id)),
            ("metadata[order_id]", bill.order_id.to_string()),
        ];
        let request = self.request(Method::POST, &["payment_intents"]);
        let request = request.header("Idempotency-Key", &bill.idempotency_key).form(&form);
        self.send("POST /v1/payment_intents", request).await?.read()
    }

    async fn confirm(&self, bill: &Bill, id: &str) -> Result<Result<Intent, Rejection>, CallError> {
        // A bank that wants the customer's consent declines: there is nobody to give it.
        let form = [("error_on_requires_action", "true")];
        let request = self.request(Method::POST, &["payment_intents", id, "confirm"]);
        let key = format!("{}-confirm", bill.idempotency_key);
        let request = request.header("Idempotency-Key", key).form(&form);
        self.send("POST /v1/payment_intents/{id}/confirm", request).await?.read()
    }

    async fn retrieve(&self, id: &str) -> Result<Result<Intent, Rejection>, CallError> {
        let request = self.request(Method::GET, &["payment_intents", id]);
        self.send("GET /v1/payment_intents/{id}", request).await?.read()
    }

    /// The order's PaymentIntent, by its metadata: only for orders so old that the index knows them for certain.
    async fn search(&self, bill: &Bill) -> Result<Result<Found, Rejection>, CallError> {
        let query = format!("metadata['order_id']:'{}'", bill.order_id);
        let request = self.request(Method::GET, &["payment_intents", "search"]);
        let request = request.query(&[("query", query.as_str()), ("limit", "1")]);
        self.send("GET /v1/payment_intents/search", request).await?.read()
    }

    /// The PaymentIntent of a payment that has one, or may have one. `None`: Stripe has none, and has forgotten the key.
    async fn current(&self, bill: &Bill, amount: i64) -> Result<Option<Intent>, CallError> {
        let id = match &bill.reference {
            Some(reference) => reference.clone(),
            None if self.clock.now() < bill.opened_at + KEYS_LAST => {
                self.create(bill, amount).await?.map_err(Rejection::into_call_error)?.id
            }
            None => {
                let found = self.search(bill).await?.map_err(Rejection::into_call_error)?;
                match found.data.into_iter().next() {
                    Some(intent) => intent.id,
                    None => return Ok(None),
                }
            }
        };
        // What the creation returned is what was true when it was first called.
        self.retrieve(&id).await?.map(Some).map_err(Rejection::into_call_error)
    }
}

/// The amount in Stripe's units, or the verdict on an amount that Stripe does not charge.
fn amount(bill: &Bill) -> Result<i64, Verdict> {
    match amount::of(bill.amount, bill.currency) {
        Charged::Units(units) => Ok(units),
        Charged::Free => Err(Verdict::Charged { reference: FREE.to_owned() }),
        Charged::Not(reason) => Err(Verdict::Declined { reason }),
    }
}

#[async_trait]
impl Provider for Stripe {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn charge(&self, bill: &Bill) -> Result<Verdict, CallError> {
        let units = match amount(bill) {
            Ok(units) => units,
            Err(verdict) => return Ok(verdict),
        };
        let created = match self.create(bill, units).await? {
            Ok(created) => created,
            Err(rejection) => return rejection.into_verdict(),
        };
        match self.confirm(bill, &created.id).await? {
            // It was confirmed just now, so what is not decided is under way.
            Ok(intent) => Ok(match intent.verdict() {
                Verdict::Missing => Verdict::Undecided,
                verdict => verdict,
            }),
            Err(rejection) => rejection.into_verdict(),
        }
    }

    async fn ask(&self, bill: &Bill) -> Result<Verdict, CallError> {
        let units = match amount(bill) {
            Ok(units) => units,
            Err(verdict) => return Ok(verdict),
        };
        let current = self.current(bill, units).await?;
        Ok(current.map_or(Verdict::Missing, |intent| intent.verdict()))
    }

    async fn void(&self, bill: &Bill) -> Result<Verdict, CallError> {
        let units = match amount(bill) {
            Ok(units) => units,
            Err(verdict) => return Ok(verdict),
        };
        let Some(intent) = self.current(bill, units).await? else { return Ok(Verdict::Void) };
        if intent.is_final() {
            return Ok(intent.verdict_of_void());
        }
        // Without an idempotency key: cancelling twice is cancelling once, and a refusal must not be remembered.
        let request = self.request(Method::POST, &["payment_intents", &intent.id, "cancel"]);
        let request = request.form(&[("cancellation_reason", "abandoned")]);
        match self.send("POST /v1/payment_intents/{id}/cancel", request).await?.read::<Intent>()? {
            Ok(intent) => Ok(intent.verdict_of_void()),
            Err(rejection) => match rejection.intent() {
                Some(intent) => Ok(intent.verdict_of_void()),
                None => Err(rejection.into_call_error()),
            },
        }
    }

    async fn refund(&self, bill: &Bill) -> Result<Verdict, CallError> {
        let reference = match &bill.reference {
            Some(reference) if reference == FREE => return Ok(Verdict::Refunded),
            Some(reference) => reference,
            None => return Err(CallError::Misconfigured("the charge has no reference".to_owned())),
        };
        let form = [
            ("payment_intent", reference.clone()),
            ("reason", "requested_by_customer".to_owned()),
            ("metadata[order_id]", bill.order_id.to_string()),
        ];
        let key = format!("{}-refund", bill.idempotency_key);
        let request = self.request(Method::POST, &["refunds"]).header("Idempotency-Key", key).form(&form);
        match self.send("POST /v1/refunds", request).await?.read::<Refund>()? {
            Ok(refund) => refund.verdict(),
            Err(rejection) if rejection.is("charge_already_refunded") => Ok(Verdict::Refunded),
            Err(rejection) => Err(rejection.into_call_error()),
        }
    }
}
