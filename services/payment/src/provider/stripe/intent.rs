//! The objects of Stripe's API, as far as they are read.

use serde::Deserialize;

use crate::domain::{CallError, Verdict};

/// What a customer is told if Stripe gives no reason.
pub(super) const DECLINED: &str = "The card was declined.";

/// A PaymentIntent.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    status: String,
    #[serde(default)]
    last_payment_error: Option<PaymentError>,
}

#[derive(Clone, Debug, Deserialize)]
struct PaymentError {
    #[serde(default)]
    message: Option<String>,
}

/// The result of a search.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) data: Vec<Intent>,
}

/// A refund.
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    status: Option<String>,
}

impl Intent {
    /// What it says about the charge (<https://docs.stripe.com/payments/paymentintents/lifecycle>).
    pub(super) fn verdict(&self) -> Verdict {
        match (self.status.as_str(), &self.last_payment_error) {
            ("succeeded", _) => Verdict::Charged { reference: self.id.clone() },
            ("canceled", _) => Verdict::Declined { reason: "The payment was cancelled.".to_owned() },
            ("requires_payment_method", Some(error)) => {
                let reason = error.message.clone();
                Verdict::Declined { reason: reason.unwrap_or_else(|| DECLINED.to_owned()) }
            }
            ("requires_payment_method" | "requires_confirmation", _) => Verdict::Missing,
            // processing, requires_action, requires_capture, and what there may be one day
            _ => Verdict::Undecided,
        }
    }

    /// Whether it has succeeded or was cancelled.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "succeeded" | "canceled")
    }

    /// The same after the attempt to cancel it.
    pub(super) fn verdict_of_void(&self) -> Verdict {
        match self.status.as_str() {
            "succeeded" => Verdict::Charged { reference: self.id.clone() },
            "canceled" => Verdict::Void,
            _ => Verdict::Undecided,
        }
    }
}

impl Refund {
    /// What it says. One that is pending is on its way to the customer.
    pub(super) fn verdict(&self) -> Result<Verdict, CallError> {
        match self.status.as_deref() {
            Some("succeeded" | "pending") => Ok(Verdict::Refunded),
            status => {
                let status = status.unwrap_or("without a status");
                Err(CallError::Misconfigured(format!(
                    "the refund is {status}: look at it in Stripe's dashboard"
                )))
            }
        }
    }
}
