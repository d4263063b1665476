//! Stripe's responses and errors (<https://docs.stripe.com/api/errors>).

use http::StatusCode;
use reqwest::{RequestBuilder, Response};
use serde::{Deserialize, de::DeserializeOwned};
use tracing::Span;

use super::intent::{DECLINED, Intent};
use crate::domain::{CallError, Verdict};

/// The largest response that is read, in bytes. A PaymentIntent has a few thousand.
const LARGEST: usize = 256 * 1024;

/// A response with a status that decides something.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

/// Stripe has understood the request and refuses it.
#[derive(Debug)]
pub(super) struct Rejection {
    status: StatusCode,
    error: Error,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    error: Error,
}

#[derive(Debug, Default, Deserialize)]
struct Error {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    payment_intent: Option<Intent>,
}

/// Sends `request` and reads the response.
pub(super) async fn read(request: RequestBuilder) -> Result<Answer, CallError> {
    let response = request.send().await.map_err(unsent)?;
    let status = response.status();
    let span = Span::current();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    Ok(Answer { status, body: body(response).await? })
}

async fn body(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| CallError::Unknown(error.without_url().to_string());
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(CallError::Unknown("the response is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Without a connection nothing was sent; anything later may have arrived.
fn unsent(error: reqwest::Error) -> CallError {
    let is_connect = error.is_connect();
    let error = anyhow::Error::from(error.without_url());
    if is_connect {
        CallError::NotDone(format!("{error:#}"))
    } else {
        CallError::Unknown(format!("{error:#}"))
    }
}

impl Answer {
    /// The object in it, or why Stripe refused.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<Result<T, Rejection>, CallError> {
        let Self { status, body } = self;
        match status.as_u16() {
            200..=299 => match serde_json::from_slice(body) {
                Ok(object) => Ok(Ok(object)),
                Err(error) => Err(CallError::Unknown(format!("the response cannot be read: {error}"))),
            },
            // Too many requests: not processed.
            429 => Err(CallError::NotDone("429: too many requests".to_owned())),
            // A call with the same key is under way, or two calls change the same object.
            409 => Err(CallError::Unknown("409: conflict".to_owned())),
            400..=499 => {
                let envelope = serde_json::from_slice::<Envelope>(body);
                let error = envelope.map(|envelope| envelope.error).unwrap_or_default();
                Ok(Err(Rejection { status: *status, error }))
            }
            other => Err(CallError::Unknown(format!("status {other}"))),
        }
    }
}

impl Rejection {
    /// Whether this is its code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.error.code.as_deref() == Some(code)
    }

    /// The PaymentIntent as it is, if the request was not possible in its state.
    pub(super) fn intent(&self) -> Option<&Intent> {
        self.error.payment_intent.as_ref().filter(|_| self.is("payment_intent_unexpected_state"))
    }

    /// What it means for a charge.
    pub(super) fn into_verdict(self) -> Result<Verdict, CallError> {
        if let Some(intent) = self.intent() {
            return Ok(intent.verdict());
        }
        let is_declined = self.error.r#type == "card_error"
            || self.status == StatusCode::PAYMENT_REQUIRED
            || self.is("amount_too_small")
            || self.is("amount_too_large");
        if is_declined {
            return Ok(Verdict::Declined {
                reason: self.error.message.unwrap_or_else(|| DECLINED.to_owned()),
            });
        }
        Err(self.into_call_error())
    }

    /// What it means for any other call. Stripe's message may quote parts of the key, so it is left out.
    pub(super) fn into_call_error(self) -> CallError {
        let Self { status, error: Error { r#type, code, param, .. } } = self;
        let mut what = format!("{} {}", status.as_u16(), code.as_deref().unwrap_or(&r#type));
        if let Some(param) = param {
            what += &format!(" ({param})");
        }
        // The key was used with other parameters: by an earlier call, whose outcome is to be asked about.
        if r#type == "idempotency_error" { CallError::Unknown(what) } else { CallError::Misconfigured(what) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<Result<Intent, Rejection>, CallError> {
        Answer { status: StatusCode::from_u16(status).unwrap(), body: body.into() }.read()
    }

    fn verdict(status: u16, body: &str) -> Result<Verdict, CallError> {
        match read(status, body)? {
            Ok(intent) => Ok(intent.verdict()),
            Err(rejection) => rejection.into_verdict(),
        }
    }

    #[test]
    fn errors_are_what_stripe_documents() {
        let declined = |reason: &str| Ok(Verdict::Declined { reason: reason.to_owned() });
        let card =
            r#"{"error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}}"#;
        assert_eq!(verdict(402, card), declined("Your card was declined."));
        let small =
            r#"{"error":{"type":"invalid_request_error","code":"amount_too_small","message":"Too small."}}"#;
        assert_eq!(verdict(400, small), declined("Too small."));
        assert_eq!(verdict(402, "<html>"), declined(DECLINED));
        let misconfigured = |what: &str| Err(CallError::Misconfigured(what.to_owned()));
        let key = r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_test_****"}}"#;
        assert_eq!(verdict(401, key), misconfigured("401 invalid_request_error"));
        let method = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"payment_method"}}"#;
        assert_eq!(verdict(400, method), misconfigured("400 resource_missing (payment_method)"));
        assert!(matches!(verdict(429, ""), Err(CallError::NotDone(_))));
        let reused = r#"{"error":{"type":"idempotency_error","message":"Keys for idempotent requests…"}}"#;
        for (status, body) in [(400, reused), (409, ""), (500, ""), (502, "<html>"), (503, ""), (302, "")] {
            assert!(matches!(verdict(status, body), Err(CallError::Unknown(_))), "{status}");
        }
        assert!(matches!(verdict(200, "{"), Err(CallError::Unknown(_))));
    }

    #[test]
    fn a_payment_intent_says_what_became_of_it() {
        let of = |rest: &str| verdict(200, &format!(r#"{{"id":"pi_1",{rest}}}"#)).unwrap();
        assert_eq!(of(r#""status":"succeeded""#), Verdict::Charged { reference: "pi_1".to_owned() });
        assert_eq!(of(r#""status":"requires_confirmation""#), Verdict::Missing);
        assert_eq!(of(r#""status":"requires_payment_method","last_payment_error":null"#), Verdict::Missing);
        let declined = of(r#""status":"requires_payment_method","last_payment_error":{"message":"No."}"#);
        assert_eq!(declined, Verdict::Declined { reason: "No.".to_owned() });
        assert!(matches!(of(r#""status":"canceled""#), Verdict::Declined { .. }));
        for status in ["processing", "requires_action", "something_new"] {
            assert_eq!(of(&format!(r#""status":"{status}""#)), Verdict::Undecided, "{status}");
        }
        let late = r#"{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state",
            "payment_intent":{"id":"pi_1","status":"succeeded"}}}"#;
        assert!(matches!(verdict(400, late), Ok(Verdict::Charged { .. })));
    }
}
