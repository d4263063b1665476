#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use shop_core::{
    Currency, Email, Money, OrderId, PaymentId,
    events::{PaymentFailed, PaymentFailure, PaymentProcessed, PaymentRefunded, StockReserved},
};
use thiserror::Error;

use super::{Bill, CallError, Verdict};

/// A payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The order, which has at most one payment.
    pub order_id: OrderId,
    /// The customer's address.
    pub customer_email: Email,
    /// What is charged.
    pub amount: Money,
    /// The amount's currency.
    pub currency: Currency,
    /// What is known of it.
    pub state: State,
    /// Why it failed, for programs. Only of a failed one.
    pub code: Option<PaymentFailure>,
    /// The same for people.
    pub reason: Option<String>,
    /// The provider that charges it.
    pub provider: String,
    /// By which the provider recognises it.
    pub idempotency_key: String,
    /// The provider's name for the charge.
    pub reference: Option<String>,
    /// Whether a call may have charged the customer without the shop knowing.
    pub doubt: Doubt,
    /// Whether its order was cancelled while a call was under way or its outcome unknown.
    pub unwanted: bool,
    /// How many calls to the provider have begun.
    pub attempts: u32,
    /// The number of events that were announced: the `aggregate_version` of the last one.
    pub version: i64,
    /// From then on no charge is begun.
    pub give_up_at: DateTime<Utc>,
    /// When there is something to do; `None`: never.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What is known of a payment: `pending` → `processed` | `failed` | `cancelled`, and `processed` → `refunding` → `refunded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not decided yet.
    Pending,
    /// The customer is charged.
    Processed,
    /// The customer is not charged, and the order was told so.
    Failed,
    /// The order was cancelled before the customer was charged.
    Cancelled,
    /// The customer is charged, and gets the money back.
    Refunding,
    /// The customer has got the money back.
    Refunded,
}

/// Whether a call may have charged the customer without the shop knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// No: no call was made, or the provider has not taken any.
    None,
    /// Yes: a call was begun, and its outcome is not known.
    Unknown,
    /// The provider was asked after the last call and knew nothing of it. The same call may be made again.
    Missing,
}

/// A call to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Charge the customer.
    Charge,
    /// Ask whether the customer is charged.
    Ask,
    /// Make sure that the customer is never charged.
    Void,
    /// Give the charge back.
    Refund,
}

impl Call {
    /// The label in spans and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Ask => "ask",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

/// What is to be done about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The provider is to be called.
    Call(Call),
    /// It ends without a charge: [`Payment::end_uncharged`].
    EndUncharged,
    /// Nothing.
    Rest,
}

/// An event that announces a change of a payment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Announcement {
    /// The order is paid.
    Processed(PaymentProcessed),
    /// The order is not paid.
    Failed(PaymentFailed),
    /// The charge is given back.
    Refunded(PaymentRefunded),
}

/// There is no state or doubt with this name.
#[derive(Debug, Error)]
#[error("unknown")]
pub(crate) struct UnknownName;

macro_rules! names {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            /// The name on the wire and in the database.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name { $($name => Ok(Self::$variant),)* _ => Err(UnknownName) }
            }
        }
    };
}

names!(State {
    Pending = "pending",
    Processed = "processed",
    Failed = "failed",
    Cancelled = "cancelled",
    Refunding = "refunding",
    Refunded = "refunded",
});
names!(Doubt { None = "none", Unknown = "unknown", Missing = "missing" });

impl Payment {
    /// Opens the payment of an order whose stock is reserved. It is given up after `patience`, or when the reservation ends.
    pub(crate) fn open(
        reserved: StockReserved,
        id: PaymentId,
        provider: &str,
        patience: TimeDelta,
        now: DateTime<Utc>,
    ) -> Self {
        let StockReserved { order_id, customer_email, total_amount, currency, reserved_until, .. } = reserved;
        Self {
            id,
            order_id,
            customer_email,
            amount: total_amount,
            currency,
            state: State::Pending,
            code: None,
            reason: None,
            provider: provider.to_owned(),
            // One for each order, whatever becomes of this row.
            idempotency_key: format!("order-{order_id}"),
            reference: None,
            doubt: Doubt::None,
            unwanted: false,
            attempts: 0,
            version: 0,
            give_up_at: reserved_until.min(now + patience),
            due_at: Some(now),
            created_at: now,
            updated_at: now,
        }
    }

    /// What the provider needs to know.
    pub(crate) fn bill(&self) -> Bill {
        Bill {
            idempotency_key: self.idempotency_key.clone(),
            order_id: self.order_id,
            amount: self.amount,
            currency: self.currency,
            reference: self.reference.clone(),
            opened_at: self.created_at,
        }
    }

    /// What is to be done now.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Next {
        let is_wanted = !self.unwanted && now < self.give_up_at;
        match (self.state, self.doubt, is_wanted) {
            (State::Pending, Doubt::None | Doubt::Missing, true) => Next::Call(Call::Charge),
            (State::Pending, Doubt::Unknown, true) => Next::Call(Call::Ask),
            (State::Pending, Doubt::None, false) => Next::EndUncharged,
            // To ask would not be enough: a call that is still on its way could charge after the answer.
            (State::Pending, Doubt::Unknown | Doubt::Missing, false) => Next::Call(Call::Void),
            (State::Refunding, ..) => Next::Call(Call::Refund),
            (State::Processed | State::Failed | State::Cancelled | State::Refunded, ..) => Next::Rest,
        }
    }

    /// Records that `call` begins. This must be stored before the call is made: after a crash the payment is in doubt, and is asked
    /// about before anything else.
    pub(crate) fn begin(&mut self, call: Call, now: DateTime<Utc>) {
        self.attempts = self.attempts.saturating_add(1);
        if call == Call::Charge {
            self.doubt = Doubt::Unknown;
        }
        self.updated_at = now;
    }

    /// Records how `call` ended, and returns the events that announce it. `doubt` is what it was before [`begin`](Self::begin). The
    /// order may have been cancelled meanwhile. After a failure the next call is due after `pause`.
    pub(crate) fn conclude(
        &mut self,
        call: Call,
        doubt: Doubt,
        outcome: Result<Verdict, CallError>,
        now: DateTime<Utc>,
        pause: TimeDelta,
    ) -> Vec<Announcement> {
        self.updated_at = now;
        self.due_at = Some(now + pause);
        match (self.state, call, outcome) {
            (State::Pending, Call::Charge | Call::Ask | Call::Void, Ok(Verdict::Charged { reference })) => {
                vec![self.charged(reference, now)]
            }
            (State::Pending, Call::Charge | Call::Ask | Call::Void, Ok(Verdict::Declined { reason })) => {
                vec![self.failed(PaymentFailure::Declined, reason)]
            }
            (State::Pending, Call::Ask, Ok(Verdict::Missing)) => {
                self.doubt = Doubt::Missing;
                self.due_at = Some(now);
                Vec::new()
            }
            (State::Pending, Call::Void, Ok(Verdict::Void)) => {
                self.doubt = Doubt::None;
                self.end_uncharged(now).into_iter().collect()
            }
            (State::Pending, Call::Charge, Err(CallError::NotDone(_) | CallError::Misconfigured(_))) => {
                self.doubt = doubt;
                Vec::new()
            }
            (State::Refunding, Call::Refund, Ok(Verdict::Refunded)) => vec![self.refunded()],
            // Tried again after the pause.
            _ => Vec::new(),
        }
    }

    /// Ends a payment that is certainly not charged and no longer wanted. An order that was cancelled needs no event.
    pub(crate) fn end_uncharged(&mut self, now: DateTime<Utc>) -> Option<Announcement> {
        self.updated_at = now;
        if self.unwanted {
            self.state = State::Cancelled;
            self.due_at = None;
            return None;
        }
        let reason = "The payment provider could not be reached in time. Nothing was charged.";
        Some(self.failed(PaymentFailure::Unavailable, reason.to_owned()))
    }

    /// The order was cancelled.
    pub(crate) fn cancel(&mut self, now: DateTime<Utc>) {
        match (self.state, self.doubt) {
            (State::Pending, Doubt::None) => {
                self.unwanted = true;
                // There is nothing to announce.
                let _ = self.end_uncharged(now);
            }
            (State::Pending, Doubt::Unknown | Doubt::Missing) => {
                self.unwanted = true;
                self.due_at = Some(now);
                self.updated_at = now;
            }
            (State::Processed, _) => {
                self.state = State::Refunding;
                self.due_at = Some(now);
                self.updated_at = now;
            }
            (State::Failed | State::Cancelled | State::Refunding | State::Refunded, _) => {}
        }
    }

    fn charged(&mut self, reference: String, now: DateTime<Utc>) -> Announcement {
        self.reference = Some(reference);
        self.doubt = Doubt::None;
        self.version += 1;
        (self.state, self.due_at) =
            if self.unwanted { (State::Refunding, Some(now)) } else { (State::Processed, None) };
        Announcement::Processed(PaymentProcessed {
            order_id: self.order_id,
            payment_id: self.id,
            customer_email: self.customer_email.clone(),
            amount: self.amount,
            currency: self.currency,
        })
    }

    fn failed(&mut self, code: PaymentFailure, reason: String) -> Announcement {
        self.state = State::Failed;
        self.doubt = Doubt::None;
        self.due_at = None;
        self.version += 1;
        (self.code, self.reason) = (Some(code), Some(reason.clone()));
        Announcement::Failed(PaymentFailed {
            order_id: self.order_id,
            payment_id: self.id,
            customer_email: self.customer_email.clone(),
            amount: self.amount,
            currency: self.currency,
            code,
            reason,
        })
    }

    fn refunded(&mut self) -> Announcement {
        self.state = State::Refunded;
        self.due_at = None;
        self.version += 1;
        Announcement::Refunded(PaymentRefunded {
            order_id: self.order_id,
            payment_id: self.id,
            customer_email: self.customer_email.clone(),
            amount: self.amount,
            currency: self.currency,
        })
    }
}
