use shop_core::{Currency, Email, Language, Money, OrderId, events::OrderedItem};

/// An order whose `order_created` has been seen, with what later events do not repeat.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KnownOrder {
    pub(crate) order_id: OrderId,
    pub(crate) customer_email: Email,
    /// In which language the customer is written to; `None` if it is not known.
    pub(crate) language: Option<Language>,
    pub(crate) items: Vec<OrderedItem>,
    pub(crate) total_amount: Money,
    pub(crate) currency: Currency,
    /// For the order of a guest: the token that opens it, sealed.
    pub(crate) sealed_token: Option<String>,
    /// Whether it has been confirmed, whatever came after.
    pub(crate) was_confirmed: bool,
}
