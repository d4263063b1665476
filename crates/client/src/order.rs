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

/// order_service.
#[derive(Clone, Debug)]
pub struct Orders(Upstream);

/// An order.
#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who ordered.
    pub customer_email: String,
    /// The sum of the lines.
    pub total_amount: Money,
    /// What the amounts are in.
    pub currency: Currency,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was ordered.
    pub items: Vec<OrderedLine>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

/// A line of an order.
#[derive(Clone, Debug, Deserialize)]
pub struct OrderedLine {
    /// What.
    pub product_id: ProductId,
    /// What it was called when it was ordered.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one when it was ordered.
    pub price: Money,
}

impl OrderedLine {
    /// The price of all of them.
    pub fn sum(&self) -> Money {
        self.price.checked_mul(self.quantity).unwrap_or(Money::MAX)
    }
}

/// An order that is to be placed.
#[derive(Clone, Debug, Serialize)]
pub struct NewOrder<'a> {
    /// For whom; without it the customer is the token's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<&'a str>,
    /// What.
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

    /// Places an order for the account of `token`. With one `key` it is placed once, however often this is called; so it is
    /// sent again while it is unclear whether it was placed.
    ///
    /// # Errors
    /// [`Failure::perhaps_done`] when it is still unclear. Refused as `price-changed`, `out-of-stock`, `unknown-product`,
    /// `idempotency-key-in-progress` or `idempotency-key-reused`.
    pub async fn place(&self, token: &str, key: Uuid, order: &NewOrder<'_>) -> Result<Order, Failure> {
        retry::unclear(|| async {
            // A string of RFC 8941 is quoted, as the Idempotency-Key draft wants it.
            let key = format!("\"{key}\"");
            let request = self.0.call("POST /orders", || {
                let request = self.0.request(Method::POST, &["orders"]).bearer_auth(token);
                request.header("idempotency-key", &key).json(order)
            });
            request.await?.json()
        })
        .await
    }

    /// A page of the account's orders, newest first.
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

    /// The account's orders `skip..skip + take`, newest first.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn slice(&self, token: &str, skip: usize, take: usize) -> Result<Slice<Order>, Failure> {
        slice(skip, take, |cursor: Option<String>| async move {
            self.list(token, cursor.as_deref(), LARGEST_PAGE).await
        })
        .await
    }

    /// One of the account's orders; `None` when it has none with this id.
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
    /// Refused as `not-cancellable` (409) when it is too late.
    pub async fn cancel(&self, token: &str, id: OrderId) -> Result<(), Failure> {
        let path = ["orders", &id.to_string(), "cancel"];
        let request = || self.0.request(Method::POST, &path).bearer_auth(token);
        self.0.call("POST /orders/{id}/cancel", request).await.map(drop)
    }
}
