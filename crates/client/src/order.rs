use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use shop_core::{Currency, Money, OrderId, OrderStatus, ProductId, basket::Line};
use url::Url;
use uuid::Uuid;

use crate::{
    Failure, Http, Page, Slice, Upstream,
    page::{LARGEST_PAGE, slice},
    retry,
    upstream::found,
};

/// A client of order_service.
#[derive(Clone, Debug)]
pub struct Orders(Upstream);

/// An order.
#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The customer's address.
    pub customer_email: String,
    /// The sum of the lines.
    pub total_amount: Money,
    /// The amounts' currency.
    pub currency: Currency,
    /// Its status.
    pub status: OrderStatus,
    /// The items.
    pub items: Vec<OrderedLine>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

/// A line of an order.
#[derive(Clone, Debug, Deserialize)]
pub struct OrderedLine {
    /// The product.
    pub product_id: ProductId,
    /// Its name when it was ordered.
    pub name: String,
    /// The quantity.
    pub quantity: u32,
    /// The price of one piece when it was ordered.
    pub price: Money,
}

impl OrderedLine {
    /// The price of the line.
    pub fn sum(&self) -> Money {
        self.price.checked_mul(self.quantity).unwrap_or(Money::MAX)
    }
}

/// A new order.
#[derive(Clone, Debug, Serialize)]
pub struct NewOrder<'a> {
    /// The customer's address; without it, that of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<&'a str>,
    /// The items.
    pub items: &'a [Line],
}

impl Orders {
    /// order_service at `base`.
    pub fn new(base: &Url, http: &Http) -> Self {
        Self(Upstream::new("order_service", base, http))
    }

    /// The service itself, for health checks.
    pub fn upstream(&self) -> &Upstream {
        &self.0
    }

    /// Places an order for the account of `token`. With the same `key` it is placed only once, however often this is called; so it is
    /// retried while it is unclear whether it was placed.
    ///
    /// # Errors
    /// [`Failure::perhaps_done`] if it is still unclear. Refused as `price-changed`, `out-of-stock`, `unknown-product`,
    /// `idempotency-key-in-progress` or `idempotency-key-reused`.
    pub async fn place(&self, token: &str, key: Uuid, order: &NewOrder<'_>) -> Result<Order, Failure> {
        retry::unclear(|| async {
            // The Idempotency-Key draft requires a string of RFC 8941, which is quoted.
            let key = format!("\"{key}\"");
            let request = self.0.call("POST /orders", || {
                let request = self.0.request(Method::POST, &["orders"]).bearer_auth(token);
                request.header("idempotency-key", &key).json(order)
            });
            request.await?.json()
        })
        .await
    }

    /// Returns a page of the account's orders, newest first.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn list(
        &self,
        token: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Order>, Failure> {
        let request = || {
            let request = self.0.request(Method::GET, &["orders"]).bearer_auth(token);
            request.query(&[("limit", limit)]).query(&cursor.map(|cursor| [("cursor", cursor)]))
        };
        self.0.call("GET /orders", request).await?.page()
    }

    /// Returns the account's orders `skip..skip + take`, newest first.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn slice(&self, token: &str, skip: usize, take: usize) -> Result<Slice<Order>, Failure> {
        slice(skip, take, |cursor: Option<String>| async move {
            self.list(token, cursor.as_deref(), LARGEST_PAGE).await
        })
        .await
    }

    /// Returns one of the account's orders; `None` if it has none with this id.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get(&self, token: &str, id: OrderId) -> Result<Option<Order>, Failure> {
        let request = || self.0.request(Method::GET, &["orders", &id.to_string()]).bearer_auth(token);
        found(self.0.call("GET /orders/{id}", request).await)?.map(|answer| answer.json()).transpose()
    }

    /// Cancels one of the account's orders.
    ///
    /// # Errors
    /// Refused as `not-cancellable` (409) if it is too late.
    pub async fn cancel(&self, token: &str, id: OrderId) -> Result<(), Failure> {
        let path = ["orders", &id.to_string(), "cancel"];
        let request = || self.0.request(Method::POST, &path).bearer_auth(token);
        self.0.call("POST /orders/{id}/cancel", request).await.map(drop)
    }
}
