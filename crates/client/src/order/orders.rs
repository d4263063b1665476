use http::{Method, header};
use serde::Serialize;
use shop_core::{Language, OrderId, basket::Line};
use url::Url;
use uuid::Uuid;

use super::{life::Life, owner::Owner, representation::Order};
use crate::{
    Failure, Http, Page, Slice, Upstream,
    page::{LARGEST_PAGE, slice},
    retry,
    upstream::found,
};

/// A client of order_service.
#[derive(Clone, Debug)]
pub struct Orders(pub(crate) Upstream);

/// A new order.
#[derive(Clone, Debug, Serialize)]
pub struct NewOrder<'a> {
    /// The customer's address; without it, that of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<&'a str>,
    /// The items.
    pub items: &'a [Line],
    /// In which the customer is written to.
    #[serde(skip)]
    pub language: Option<Language>,
}

#[derive(Serialize)]
struct Shipment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<&'a str>,
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
                let request = request.header("idempotency-key", &key).json(order);
                match order.language {
                    Some(language) => request.header(header::ACCEPT_LANGUAGE, language.code()),
                    None => request,
                }
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

    /// Returns an order; `None` if the caller has none with this id.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get(&self, owner: Owner<'_>, id: OrderId) -> Result<Option<Order>, Failure> {
        let request = || owner.sign(self.0.request(Method::GET, &["orders", &id.to_string()]));
        found(self.0.call("GET /orders/{id}", request).await)?.map(|answer| answer.json()).transpose()
    }

    /// Follows an order from after step `after` on, or from its beginning; `None` if the caller has none with this id.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn follow(
        &self,
        owner: Owner<'_>,
        id: OrderId,
        after: Option<u64>,
    ) -> Result<Option<Life>, Failure> {
        Life::open(&self.0, owner, id, after).await
    }

    /// Cancels an order.
    ///
    /// # Errors
    /// Refused as `not-cancellable` (409) if it is too late.
    pub async fn cancel(&self, owner: Owner<'_>, id: OrderId) -> Result<(), Failure> {
        let path = ["orders", &id.to_string(), "cancel"];
        let request = || owner.sign(self.0.request(Method::POST, &path));
        self.0.call("POST /orders/{id}/cancel", request).await.map(drop)
    }

    /// Notes that a confirmed order was handed to the carrier, with the parcel's number if it has one. `token` is an administrator's.
    ///
    /// # Errors
    /// Refused with 403 for anybody else, and with 409 for an order that is not confirmed.
    pub async fn ship(
        &self,
        token: &str,
        id: OrderId,
        tracking_number: Option<&str>,
    ) -> Result<Order, Failure> {
        let path = ["orders", &id.to_string(), "ship"];
        let body = Shipment { tracking_number };
        let request = || self.0.request(Method::POST, &path).bearer_auth(token).json(&body);
        self.0.call("POST /orders/{id}/ship", request).await?.json()
    }

    /// Notes that a shipped order has reached the customer. `token` is an administrator's.
    ///
    /// # Errors
    /// Refused with 403 for anybody else, and with 409 for an order that is not on its way.
    pub async fn deliver(&self, token: &str, id: OrderId) -> Result<Order, Failure> {
        let path = ["orders", &id.to_string(), "deliver"];
        let request = || self.0.request(Method::POST, &path).bearer_auth(token);
        self.0.call("POST /orders/{id}/deliver", request).await?.json()
    }
}
