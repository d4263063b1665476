//! The shop's books, as its administrators read them: each service's list of what it holds, page by page.

use http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use shop_core::{Currency, Money, OrderId, PaymentId, ProductId};
use url::Url;

use crate::{Failure, Http, Page, Upstream};

/// A client of the administrators' lists.
#[derive(Clone, Debug)]
pub struct Books {
    catalog: Upstream,
    payment: Upstream,
    notification: Upstream,
}

/// The stock of a product.
#[derive(Clone, Debug, Deserialize)]
pub struct Stock {
    /// The product.
    pub product_id: ProductId,
    /// How many were ever put in.
    pub received: i64,
    /// How many are there.
    pub on_hand: i64,
    /// How many of those are reserved for orders.
    pub reserved: i64,
    /// How many can be bought.
    pub available: i64,
}

/// What is kept for an order, or was.
#[derive(Clone, Debug, Deserialize)]
pub struct Reservation {
    /// The order.
    pub order_id: OrderId,
    /// Its state.
    pub state: ReservationState,
    /// Its lines.
    pub items: Vec<ReservedLine>,
}

/// The state of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Kept for the order.
    Reserved,
    /// Left the shop's stock with the confirmed order.
    Sold,
    /// Given back.
    Released,
    /// There was not enough: nothing was kept.
    Rejected,
}

/// A line of a reservation.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ReservedLine {
    /// The product.
    pub product_id: ProductId,
    /// The quantity.
    pub quantity: u32,
}

/// The payment of an order.
#[derive(Clone, Debug, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The order.
    pub order_id: OrderId,
    /// The customer's address.
    pub customer_email: String,
    /// The amount.
    pub amount: Money,
    /// The amount's currency.
    pub currency: Currency,
    /// Its state.
    pub state: PaymentState,
}

/// The state of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Not yet decided.
    Pending,
    /// The customer has paid.
    Processed,
    /// Nothing was charged: it was declined, or the provider could not be reached.
    Failed,
    /// The order was cancelled before anything was charged.
    Cancelled,
    /// The charge is being given back.
    Refunding,
    /// The charge was given back.
    Refunded,
}

/// A charge in the books of the simulated provider, which are apart from the shop's.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// The order that the shop named.
    pub order_id: OrderId,
    /// The amount.
    pub amount: Money,
    /// The amount's currency.
    pub currency: Currency,
    /// Its state.
    pub state: ChargeState,
}

/// The state of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    /// The customer's money was taken.
    Charged,
    /// It was not.
    Declined,
    /// It was, and was given back.
    Refunded,
}

/// A message to a customer about an order.
#[derive(Clone, Debug, Deserialize)]
pub struct Notice {
    /// The order.
    pub order_id: OrderId,
    /// The event that it tells of, such as `order_confirmed`.
    pub event_type: String,
    /// `email` or `telegram`.
    pub channel: String,
    /// The address.
    pub to: String,
    /// What became of it.
    pub state: NoticeState,
}

/// The state of a message to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// Handed over to the channel.
    Sent,
    /// Nobody can be reached there.
    Skipped,
}

impl Books {
    /// The books of catalog_service, payment_service and notification_service at these addresses. Those of order_service are
    /// [`Orders::list`](crate::Orders::list).
    pub fn new(catalog: &Url, payment: &Url, notification: &Url, http: &Http) -> Self {
        Self {
            catalog: Upstream::new("catalog_service", catalog, http),
            payment: Upstream::new("payment_service", payment, http),
            notification: Upstream::new("notification_service", notification, http),
        }
    }

    /// Returns a page of every product's stock. `token` is an administrator's, here and below; a page has at most 1000 entries.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn stock(
        &self,
        token: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Stock>, Failure> {
        page(&self.catalog, "GET /stock", &["stock"], token, cursor, limit).await
    }

    /// Returns a page of all reservations.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn reservations(
        &self,
        token: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Reservation>, Failure> {
        page(&self.catalog, "GET /reservations", &["reservations"], token, cursor, limit).await
    }

    /// Returns a page of all payments.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn payments(
        &self,
        token: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Payment>, Failure> {
        page(&self.payment, "GET /payments", &["payments"], token, cursor, limit).await
    }

    /// Returns a page of the simulated provider's charges.
    ///
    /// # Errors
    /// See [`Failure`]; refused with 404 where another provider charges.
    pub async fn charges(
        &self,
        token: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Charge>, Failure> {
        page(&self.payment, "GET /simulated/charges", &["simulated", "charges"], token, cursor, limit).await
    }

    /// Returns a page of all messages to customers.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn notices(
        &self,
        token: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Notice>, Failure> {
        page(&self.notification, "GET /notifications", &["notifications"], token, cursor, limit).await
    }

    pub(crate) fn payment(&self) -> &Upstream {
        &self.payment
    }
}

async fn page<T: DeserializeOwned>(
    service: &Upstream,
    span: &'static str,
    path: &[&str],
    token: &str,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<T>, Failure> {
    let request = || {
        let request = service.request(Method::GET, path).bearer_auth(token);
        request.query(&[("limit", limit)]).query(&cursor.map(|cursor| [("cursor", cursor)]))
    };
    service.call(span, request).await?.page()
}
