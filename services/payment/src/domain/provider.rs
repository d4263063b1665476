use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shop_core::{Currency, Money, OrderId};
use thiserror::Error;

/// What a provider needs to know about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bill {
    /// By which the provider recognises repeated calls. The same for every call of a payment.
    pub idempotency_key: String,
    /// The order.
    pub order_id: OrderId,
    /// What is charged, and refunded.
    pub amount: Money,
    /// The amount's currency.
    pub currency: Currency,
    /// The provider's name for the charge, once it is known.
    pub reference: Option<String>,
    /// When the payment was opened: providers forget idempotency keys.
    pub opened_at: DateTime<Utc>,
}

/// What a provider said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The customer is charged.
    Charged {
        /// The provider's name for the charge.
        reference: String,
    },
    /// Nothing is charged, nor will be for this key.
    Declined {
        /// The reason, for people to read.
        reason: String,
    },
    /// The provider has no charge for this key. A call that is still on its way may create one.
    Missing,
    /// The provider has not decided yet.
    Undecided,
    /// Nothing is charged, and the provider refuses every charge for this key from now on, even of a call that is still on its way.
    Void,
    /// The charge is given back.
    Refunded,
}

impl Verdict {
    /// The label in the metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Charged { .. } => "charged",
            Self::Declined { .. } => "declined",
            Self::Missing => "missing",
            Self::Undecided => "undecided",
            Self::Void => "void",
            Self::Refunded => "refunded",
        }
    }
}

/// Why a call has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// The call did not reach the provider, or the provider refused to process it: it has certainly changed nothing.
    #[error("the provider did not take the call: {0}")]
    NotDone(String),
    /// The provider refuses the shop itself, such as its key: it has certainly changed nothing, and somebody has to change a setting.
    #[error("the provider refuses the shop: {0}")]
    Misconfigured(String),
    /// The call may have taken effect.
    #[error("the provider's answer is unknown: {0}")]
    Unknown(String),
}

impl CallError {
    /// The label in the metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::NotDone(_) => "not_done",
            Self::Misconfigured(_) => "misconfigured",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Somebody who charges customers.
///
/// All calls are idempotent by [`Bill::idempotency_key`], and each may be dropped by its caller at any moment.
#[async_trait]
pub(crate) trait Provider: Send + Sync {
    /// Its name, in payments and metrics.
    fn name(&self) -> &'static str;

    /// Charges the customer: [`Verdict::Charged`], [`Verdict::Declined`] or [`Verdict::Undecided`].
    async fn charge(&self, bill: &Bill) -> Result<Verdict, CallError>;

    /// Whether the customer is charged. Charges nothing.
    async fn ask(&self, bill: &Bill) -> Result<Verdict, CallError>;

    /// Makes sure that the customer is never charged: [`Verdict::Void`], unless there is a charge already.
    async fn void(&self, bill: &Bill) -> Result<Verdict, CallError>;

    /// Gives a charge back: [`Verdict::Refunded`].
    async fn refund(&self, bill: &Bill) -> Result<Verdict, CallError>;
}
