use chrono::{DateTime, Utc};
use shop_core::{
    Currency, Email, Money, OrderId, OrderStatus, UserId,
    events::{CancellationCode, OrderCancelled, OrderCreated, OrderedItem},
};
use thiserror::Error;

use super::{Item, Quote};

/// An order: what was bought, by whom, at which prices, and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Its id.
    pub id: OrderId,
    /// The customer.
    pub customer: Customer,
    /// The items, with their names and prices at that time.
    pub items: Vec<Item>,
    /// The sum of the items.
    pub total: Money,
    /// ISO 4217.
    pub currency: String,
    /// Its status.
    pub status: OrderStatus,
    /// The number of its changes, including its creation: the `aggregate_version` of its last event.
    pub version: i64,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

/// The summary of a guest's order that everybody may see: no items, and only a hint of the guest's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Its id.
    pub id: OrderId,
    /// The guest's address, masked: `b***@example.com`.
    pub masked_email: String,
    /// The sum of the items.
    pub total: Money,
    /// Its status.
    pub status: OrderStatus,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

impl Outline {
    /// An address as strangers see it: its first character and its domain, with the same number of stars whatever its length.
    pub(crate) fn mask(email: &Email) -> String {
        let (local, domain) = email.as_str().rsplit_once('@').unwrap_or_default();
        let first: String = local.chars().take(1).collect();
        format!("{first}***@{domain}")
    }
}

/// The customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Customer {
    /// The account; a guest has none.
    pub account: Option<UserId>,
    /// The address for news about the order.
    pub email: Email,
}

/// The order has been shipped: it can no longer be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The order is {0} and can no longer be cancelled.")]
pub(crate) struct NotCancellable(pub OrderStatus);

impl Order {
    /// Creates a new order from a quote.
    pub(crate) fn place(id: OrderId, customer: Customer, quote: Quote, now: DateTime<Utc>) -> Self {
        let Quote { items, total, currency } = quote;
        Self {
            id,
            customer,
            items,
            total,
            currency,
            status: OrderStatus::Pending,
            version: 1,
            created_at: now,
        }
    }

    /// The event of its creation.
    pub(crate) fn created(&self) -> OrderCreated {
        let item = |item: &Item| OrderedItem {
            product_id: item.product_id,
            quantity: item.quantity,
            price: item.price,
            name: item.name.clone(),
        };
        OrderCreated {
            order_id: self.id,
            customer_email: self.customer.email.clone(),
            total_amount: self.total,
            items: self.items.iter().map(item).collect(),
            currency: self.currency.parse().unwrap_or(Currency::RUB),
            language: None,
            sealed_token: None,
        }
    }

    /// Cancels a pending order and returns the event that announces it.
    ///
    /// Returns `None` for an order that is already cancelled: cancelling is idempotent.
    pub(crate) fn cancel(&mut self, reason: &str) -> Result<Option<OrderCancelled>, NotCancellable> {
        if self.status == OrderStatus::Cancelled {
            return Ok(None);
        }
        if !self.status.may_become(OrderStatus::Cancelled) {
            return Err(NotCancellable(self.status));
        }
        self.status = OrderStatus::Cancelled;
        self.version += 1;
        Ok(Some(OrderCancelled {
            order_id: self.id,
            customer_email: self.customer.email.clone(),
            total_amount: self.total,
            reason: reason.to_owned(),
            code: CancellationCode::ByCustomer,
            currency: self.currency.parse().unwrap_or(Currency::RUB),
        }))
    }
}

#[cfg(test)]
mod tests {
    use shop_core::ProductId;

    use super::*;

    fn order() -> Order {
        let customer = Customer { account: None, email: "buyer@example.com".parse().unwrap() };
        let total = Money::from_minor(100_000).unwrap();
        let item = Item {
            product_id: ProductId(1),
            name: "Lamp".to_owned(),
            quantity: 2,
            price: Money::from_minor(50_000).unwrap(),
        };
        let quote = Quote { items: vec![item], total, currency: "RUB".to_owned() };
        Order::place(OrderId(uuid::Uuid::nil()), customer, quote, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_masked_address_hides_the_person() {
        for (email, masked) in
            [("buyer@example.com", "b***@example.com"), ("b@mail.example.com", "b***@mail.example.com")]
        {
            assert_eq!(Outline::mask(&email.parse().unwrap()), masked);
        }
    }

    #[test]
    fn a_new_order_is_pending_and_announces_its_lines() {
        let order = order();
        assert_eq!((order.status, order.version), (OrderStatus::Pending, 1));
        let event = order.created();
        assert_eq!((event.total_amount, event.items.len()), (order.total, 1));
    }

    #[test]
    fn cancelling_twice_is_cancelling_once() {
        let mut order = order();
        assert_eq!(order.cancel("changed my mind").unwrap().unwrap().reason, "changed my mind");
        assert_eq!((order.status, order.version), (OrderStatus::Cancelled, 2));
        assert_eq!(order.cancel("again"), Ok(None));
        assert_eq!(order.version, 2);
    }

    #[test]
    fn a_shipped_order_is_not_cancelled() {
        let mut order = Order { status: OrderStatus::Shipped, ..order() };
        assert_eq!(order.cancel("too late"), Err(NotCancellable(OrderStatus::Shipped)));
        assert_eq!((order.status, order.version), (OrderStatus::Shipped, 1));
    }
}
