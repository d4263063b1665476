use shop_core::{
    Currency, Email, Money, OrderId,
    events::{
        CancellationCode, Event, OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderShipped,
        PaymentRefunded,
    },
};

use super::known_order::KnownOrder;

/// What has happened to an order, as far as its customer is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// The shop has the order.
    Received,
    /// It is paid, and its goods are set aside.
    Confirmed,
    /// It will not be delivered.
    Cancelled {
        /// Why.
        code: CancellationCode,
        /// Whether it had been confirmed, and so paid, before.
        was_confirmed: bool,
    },
    /// It is on its way.
    Shipped {
        /// The carrier's number of the parcel, if it has one.
        tracking_number: Option<String>,
    },
    /// It has arrived.
    Delivered,
    /// The money is on its way back.
    Refunded(Money, Currency),
}

/// An event that is news for a customer.
pub(crate) trait Newsworthy: Event + Send + Sync + 'static {
    /// The order.
    fn order_id(&self) -> OrderId;

    /// The customer's address, as the event has it.
    fn customer(&self) -> &Email;

    /// What the customer is told. `known` is the order, if its `order_created` has been seen.
    fn news(&self, known: Option<&KnownOrder>) -> News;

    /// What the event says about the whole order.
    fn total(&self) -> Option<(Money, Currency)> {
        None
    }

    /// The order that the event begins.
    fn begins(&self) -> Option<KnownOrder> {
        None
    }

    /// Whether the order is confirmed by it.
    fn confirms(&self) -> bool {
        false
    }
}

impl Newsworthy for OrderCreated {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn customer(&self) -> &Email {
        &self.customer_email
    }

    fn news(&self, _: Option<&KnownOrder>) -> News {
        News::Received
    }

    fn total(&self) -> Option<(Money, Currency)> {
        Some((self.total_amount, self.currency))
    }

    fn begins(&self) -> Option<KnownOrder> {
        Some(KnownOrder {
            order_id: self.order_id,
            customer_email: self.customer_email.clone(),
            language: self.language,
            items: self.items.clone(),
            total_amount: self.total_amount,
            currency: self.currency,
            sealed_token: self.sealed_token.clone(),
            was_confirmed: false,
        })
    }
}

impl Newsworthy for OrderConfirmed {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn customer(&self) -> &Email {
        &self.customer_email
    }

    fn news(&self, _: Option<&KnownOrder>) -> News {
        News::Confirmed
    }

    fn total(&self) -> Option<(Money, Currency)> {
        Some((self.total_amount, self.currency))
    }

    fn confirms(&self) -> bool {
        true
    }
}

impl Newsworthy for OrderCancelled {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn customer(&self) -> &Email {
        &self.customer_email
    }

    fn news(&self, known: Option<&KnownOrder>) -> News {
        News::Cancelled { code: self.code, was_confirmed: known.is_some_and(|known| known.was_confirmed) }
    }

    fn total(&self) -> Option<(Money, Currency)> {
        Some((self.total_amount, self.currency))
    }
}

impl Newsworthy for OrderShipped {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn customer(&self) -> &Email {
        &self.customer_email
    }

    fn news(&self, _: Option<&KnownOrder>) -> News {
        News::Shipped { tracking_number: self.tracking_number.clone() }
    }
}

impl Newsworthy for OrderDelivered {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn customer(&self) -> &Email {
        &self.customer_email
    }

    fn news(&self, _: Option<&KnownOrder>) -> News {
        News::Delivered
    }
}

impl Newsworthy for PaymentRefunded {
    fn order_id(&self) -> OrderId {
        self.order_id
    }

    fn customer(&self) -> &Email {
        &self.customer_email
    }

    fn news(&self, _: Option<&KnownOrder>) -> News {
        News::Refunded(self.amount, self.currency)
    }
}
