//! What may happen to an order after it was placed, and what follows from it (ADR 27).

use chrono::{DateTime, Utc};
use shop_core::{
    OrderStatus,
    events::{
        CancellationCode, OrderCancelled, OrderConfirmed, OrderDelivered, OrderShipped, PaymentFailure,
    },
};
use thiserror::Error;

use super::{
    Cancellation, Order,
    timeline::{Entry, Milestone, Timeline},
};

/// An order, and what has happened to it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// The order as it is now.
    pub order: Order,
    /// Its timeline.
    pub timeline: Timeline,
}

/// What another service says about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// Everything is reserved.
    StockReserved,
    /// There is not enough of something, or the reservation has ended.
    StockRejected {
        /// For people to read.
        reason: String,
    },
    /// The customer has paid.
    PaymentProcessed,
    /// Nothing was charged, nor will be.
    PaymentFailed {
        /// Whether the payment was declined.
        code: PaymentFailure,
        /// For people to read.
        reason: String,
    },
    /// The customer has the money back.
    PaymentRefunded,
}

/// What follows from a happening.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Consequence {
    /// Something to store.
    Changed(Change),
    /// It was known already.
    Known,
    /// It has no place in the order's life as it is now, and changes nothing.
    Impossible,
}

/// What has changed, to be stored together with the order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// New in the timeline.
    pub entries: Vec<Entry>,
    /// The event that announces a new status. Without one the order itself is as before.
    pub announcement: Option<Announcement>,
}

/// An event that announces a new status.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Announcement {
    /// Stock is reserved and the customer has paid.
    Confirmed(OrderConfirmed),
    /// Nothing will be delivered.
    Cancelled(OrderCancelled),
    /// The carrier has it.
    Shipped(OrderShipped),
    /// The customer has it.
    Delivered(OrderDelivered),
}

/// The order has been shipped: it can no longer be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The order is {0} and can no longer be cancelled.")]
pub(crate) struct NotCancellable(pub OrderStatus);

/// Only a confirmed order can be shipped, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The order is {0} and cannot be shipped, or not with another tracking number.")]
pub(crate) struct NotShippable(pub OrderStatus);

/// Only a shipped order can be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The order is {0} and cannot be delivered: it must be shipped first.")]
pub(crate) struct NotDeliverable(pub OrderStatus);

impl Life {
    /// Applies what another service says. It may say it twice, late, or in another order than it happened.
    ///
    /// What concerns the customer's money is noted whatever the status is: an order may be cancelled while it is paid.
    pub(crate) fn happened(&mut self, what: Happening, now: DateTime<Utc>) -> Consequence {
        use OrderStatus::{Cancelled, Confirmed, Delivered, Pending, Shipped};
        match (what, self.order.status) {
            (Happening::StockReserved, Pending | Confirmed) => self.noted(Milestone::StockReserved, now),
            (Happening::StockReserved, Shipped | Delivered | Cancelled) => Consequence::Impossible,

            (Happening::StockRejected { reason }, Pending | Confirmed) => {
                self.given_up(Cancellation::told(CancellationCode::OutOfStock, &reason), now)
            }
            (Happening::PaymentFailed { code, reason }, Pending) => {
                let code = match code {
                    PaymentFailure::Declined => CancellationCode::PaymentDeclined,
                    PaymentFailure::Unavailable => CancellationCode::PaymentUnavailable,
                };
                self.given_up(Cancellation::told(code, &reason), now)
            }
            (Happening::StockRejected { .. } | Happening::PaymentFailed { .. }, Cancelled) => {
                Consequence::Known
            }
            (Happening::StockRejected { .. }, Shipped | Delivered)
            | (Happening::PaymentFailed { .. }, Confirmed | Shipped | Delivered) => Consequence::Impossible,

            (Happening::PaymentProcessed, Pending) => self.confirmed(now),
            (Happening::PaymentProcessed, Confirmed | Shipped | Delivered | Cancelled) => {
                self.noted(Milestone::PaymentProcessed, now)
            }
            (Happening::PaymentRefunded, _) => self.noted(Milestone::PaymentRefunded, now),
        }
    }

    /// Cancels the order. Returns `None` if it is cancelled already: cancelling is idempotent.
    pub(crate) fn cancel(
        &mut self,
        why: Cancellation,
        now: DateTime<Utc>,
    ) -> Result<Option<Change>, NotCancellable> {
        if self.order.status == OrderStatus::Cancelled {
            return Ok(None);
        }
        if !self.advance(OrderStatus::Cancelled) {
            return Err(NotCancellable(self.order.status));
        }
        let entry = self.timeline.add(now, Milestone::Cancelled, Some(why.code.as_str().to_owned()));
        let announcement = Announcement::Cancelled(OrderCancelled {
            order_id: self.order.id,
            customer_email: self.order.customer.email.clone(),
            total_amount: self.order.total,
            reason: why.reason.clone(),
            code: why.code,
            currency: self.order.currency,
        });
        self.order.cancellation = Some(why);
        Ok(Some(Change { entries: vec![entry], announcement: Some(announcement) }))
    }

    /// Hands a confirmed order to the carrier. Returns `None` if that has been done, with this tracking number or without a new one.
    pub(crate) fn ship(
        &mut self,
        tracking_number: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Option<Change>, NotShippable> {
        let refusal = NotShippable(self.order.status);
        if self.order.status == OrderStatus::Shipped {
            let is_same = tracking_number.is_none() || tracking_number == self.order.tracking_number;
            return if is_same { Ok(None) } else { Err(refusal) };
        }
        if !self.advance(OrderStatus::Shipped) {
            return Err(refusal);
        }
        let entry = self.timeline.add(now, Milestone::Shipped, tracking_number.clone());
        let announcement = Announcement::Shipped(OrderShipped {
            order_id: self.order.id,
            customer_email: self.order.customer.email.clone(),
            tracking_number: tracking_number.clone(),
        });
        self.order.tracking_number = tracking_number;
        Ok(Some(Change { entries: vec![entry], announcement: Some(announcement) }))
    }

    /// Notes that a shipped order has arrived. Returns `None` if it has been noted.
    pub(crate) fn deliver(&mut self, now: DateTime<Utc>) -> Result<Option<Change>, NotDeliverable> {
        if self.order.status == OrderStatus::Delivered {
            return Ok(None);
        }
        if !self.advance(OrderStatus::Delivered) {
            return Err(NotDeliverable(self.order.status));
        }
        let entry = self.timeline.add(now, Milestone::Delivered, None);
        let announcement = Announcement::Delivered(OrderDelivered {
            order_id: self.order.id,
            customer_email: self.order.customer.email.clone(),
        });
        Ok(Some(Change { entries: vec![entry], announcement: Some(announcement) }))
    }

    /// A paid order is confirmed: nobody pays before everything is reserved.
    fn confirmed(&mut self, now: DateTime<Utc>) -> Consequence {
        if !self.advance(OrderStatus::Confirmed) {
            return Consequence::Impossible;
        }
        let entries = [Milestone::PaymentProcessed, Milestone::Confirmed];
        let entries = entries.map(|event| self.timeline.add(now, event, None)).into();
        let announcement = Announcement::Confirmed(OrderConfirmed {
            order_id: self.order.id,
            customer_email: self.order.customer.email.clone(),
            total_amount: self.order.total,
            currency: self.order.currency,
        });
        Consequence::Changed(Change { entries, announcement: Some(announcement) })
    }

    fn given_up(&mut self, why: Cancellation, now: DateTime<Utc>) -> Consequence {
        match self.cancel(why, now) {
            Ok(Some(change)) => Consequence::Changed(change),
            Ok(None) => Consequence::Known,
            Err(NotCancellable(_)) => Consequence::Impossible,
        }
    }

    /// Adds `event` to the timeline, once.
    fn noted(&mut self, event: Milestone, now: DateTime<Utc>) -> Consequence {
        if self.timeline.has(event) {
            return Consequence::Known;
        }
        let entries = vec![self.timeline.add(now, event, None)];
        Consequence::Changed(Change { entries, announcement: None })
    }

    /// Gives the order the status `next`, if it may have it.
    fn advance(&mut self, next: OrderStatus) -> bool {
        let may = self.order.status.may_become(next);
        if may {
            self.order.status = next;
            self.order.version += 1;
        }
        may
    }
}

#[cfg(test)]
mod tests;
