use chrono::{DateTime, Utc};
use shop_core::{
    Currency, Email, Language, Money, OrderId, OrderStatus, UserId,
    events::{OrderCreated, OrderedItem},
};

use super::{Cancellation, Item, Quote};

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
    /// The amounts' currency.
    pub currency: Currency,
    /// Its status.
    pub status: OrderStatus,
    /// The number of its statuses so far: the `aggregate_version` of its last event.
    pub version: i64,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// The language in which the customer is written to, if it is known.
    pub language: Option<Language>,
    /// The trace of the request that placed it, as W3C writes it.
    pub trace_parent: Option<String>,
    /// Why it was cancelled, if it was.
    pub cancellation: Option<Cancellation>,
    /// The carrier's number of the parcel.
    pub tracking_number: Option<String>,
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
            language: None,
            trace_parent: None,
            cancellation: None,
            tracking_number: None,
        }
    }

    /// The id of the trace of the request that placed it: 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.trace_parent.as_deref()?.split('-').nth(1)
    }

    /// The event of its creation, with the token of a guest's order if it can be sealed.
    pub(crate) fn created(&self, sealed_token: Option<String>) -> OrderCreated {
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
            currency: self.currency,
            language: self.language,
            sealed_token,
        }
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
        let quote = Quote { items: vec![item], total, currency: Currency::RUB };
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
        let event = order.created(None);
        assert_eq!(order.trace_id(), None);
        let traced = Order { trace_parent: Some("00-0af7-b7ad-01".to_owned()), ..order.clone() };
        assert_eq!(traced.trace_id(), Some("0af7"));
        assert_eq!((event.total_amount, event.items.len()), (order.total, 1));
    }
}
