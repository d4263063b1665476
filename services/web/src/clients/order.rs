use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shop_core::{Money, OrderId, OrderStatus, ProductId};
use uuid::Uuid;

use super::{Failure, Upstream};
use crate::session::{Account, email_for_people};

/// order_service.
pub(crate) struct Orders(pub(crate) Upstream);

/// An order.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) customer_email: String,
    pub(crate) total_amount: Money,
    pub(crate) currency: String,
    pub(crate) status: OrderStatus,
    pub(crate) items: Vec<Item>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A line of an order.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Item {
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) quantity: u32,
    pub(crate) price: Money,
}

/// A line of an order that is to be placed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewLine {
    pub(crate) product_id: ProductId,
    pub(crate) quantity: u32,
    /// What the customer saw; order_service refuses when it has changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<Money>,
}

#[derive(Serialize)]
struct NewOrder<'a> {
    customer_email: &'a str,
    items: &'a [NewLine],
}

impl Order {
    /// The customer's address as people write it.
    pub(crate) fn email_for_people(&self) -> String {
        email_for_people(&self.customer_email)
    }
}

impl Orders {
    /// Places an order. The same `key` again answers with the same order.
    pub(crate) async fn place(
        &self,
        account: &Account,
        key: Uuid,
        items: &[NewLine],
    ) -> Result<Order, Failure> {
        let order = NewOrder { customer_email: &account.email, items };
        let request = self.0.request(Method::POST, "/orders").bearer_auth(&account.token);
        // RFC 8941 strings are quoted, as the Idempotency-Key draft wants them.
        let request = request.header("idempotency-key", format!("\"{key}\"")).json(&order);
        self.0.call("POST /orders", request).await?.json()
    }

    /// A page of the account's orders, newest first, and the cursor of the next one.
    pub(crate) async fn list(
        &self,
        account: &Account,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Order>, Option<String>), Failure> {
        let request = self.0.request(Method::GET, "/orders").bearer_auth(&account.token);
        let request = request.query(&[("limit", limit)]).query(&cursor.map(|cursor| [("cursor", cursor)]));
        let answer = self.0.call("GET /orders", request).await?;
        Ok((answer.json()?, answer.next_cursor()))
    }

    /// One of the account's orders; `None` when it has none with this id.
    pub(crate) async fn get(&self, account: &Account, id: OrderId) -> Result<Option<Order>, Failure> {
        let request = self.0.request(Method::GET, &format!("/orders/{id}")).bearer_auth(&account.token);
        match self.0.call("GET /orders/{id}", request).await {
            Ok(answer) => answer.json().map(Some),
            Err(Failure::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Cancels one of the account's orders. Refused with 409 when it is too late.
    pub(crate) async fn cancel(&self, account: &Account, id: OrderId) -> Result<(), Failure> {
        let request =
            self.0.request(Method::POST, &format!("/orders/{id}/cancel")).bearer_auth(&account.token);
        self.0.call("POST /orders/{id}/cancel", request).await.map(drop)
    }
}

impl Order {
    /// The end of the id, for people: the beginning of a UUIDv7 is the time, the same for orders of one day.
    pub(crate) fn short_id(&self) -> String {
        let id = self.id.0.simple().to_string();
        id[id.len() - 8..].to_uppercase()
    }
}

impl Item {
    /// The price of all of them.
    pub(crate) fn sum(&self) -> Money {
        self.price.checked_mul(self.quantity).unwrap_or(Money::MAX)
    }
}
