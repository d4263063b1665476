use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};
use shop_core::{Money, OrderId, OrderStatus, ProductId};
use shop_runtime::config::ExposeSecret as _;
use uuid::Uuid;

use super::{Call, Page, Shop, ShopError, at};
use crate::sessions::Session;

/// How often an order is sent while it is unclear whether it was placed, and the pause between.
const PLACING_TRIES: u32 = 3;
const PLACING_PAUSE: Duration = Duration::from_secs(1);

/// An order, as the bot shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) total_amount: Money,
    pub(crate) currency: String,
    pub(crate) status: OrderStatus,
    pub(crate) items: Vec<OrderedLine>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A line of an order that was placed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OrderedLine {
    pub(crate) name: String,
    pub(crate) quantity: u32,
    pub(crate) price: Money,
}

/// A line of an order to be placed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) product_id: ProductId,
    pub(crate) quantity: u32,
    /// The price that the customer was shown, if one was: order_service refuses when it is another by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<Money>,
}

/// The customer is the token's, so no address is sent.
#[derive(Serialize)]
struct NewOrder<'a> {
    items: &'a [Line],
}

impl Shop {
    /// Places an order. With the same `key` it is placed once, however often this is called; so it is called again
    /// where an answer got lost.
    pub(crate) async fn place_order(
        &self,
        session: &Session,
        key: Uuid,
        items: &[Line],
    ) -> Result<Order, ShopError> {
        let mut tries = 1;
        loop {
            let outcome = self.try_to_place(session, key, items).await;
            let is_unclear = match &outcome {
                Err(ShopError::Away { perhaps_done, .. }) => *perhaps_done,
                Err(ShopError::Refused(refusal)) => refusal.slug == "idempotency-key-in-progress",
                _ => false,
            };
            if !is_unclear || tries == PLACING_TRIES {
                return outcome;
            }
            tries += 1;
            tokio::time::sleep(PLACING_PAUSE).await;
        }
    }

    async fn try_to_place(&self, session: &Session, key: Uuid, items: &[Line]) -> Result<Order, ShopError> {
        let call = Call { service: "order_service", span: "POST /orders" };
        let request = self.http.post(at(&self.order, &["orders"])).header("Idempotency-Key", key.to_string());
        let request = authorized(session)(request).json(&NewOrder { items });
        call.read(call.send(request).await?).await
    }

    /// The customer's orders `skip..skip + take`, the newest first.
    pub(crate) async fn orders(
        &self,
        session: &Session,
        skip: usize,
        take: usize,
    ) -> Result<Page<Order>, ShopError> {
        let call = Call { service: "order_service", span: "GET /orders" };
        self.page(call, &at(&self.order, &["orders"]), authorized(session), skip, take).await
    }

    /// One of the customer's orders.
    pub(crate) async fn order(&self, session: &Session, id: OrderId) -> Result<Order, ShopError> {
        let call = Call { service: "order_service", span: "GET /orders/{id}" };
        let request = self.http.get(at(&self.order, &["orders", &id.to_string()]));
        call.read(call.send(authorized(session)(request)).await?).await
    }

    /// Cancels an order.
    pub(crate) async fn cancel_order(&self, session: &Session, id: OrderId) -> Result<(), ShopError> {
        let call = Call { service: "order_service", span: "POST /orders/{id}/cancel" };
        let request = self.http.post(at(&self.order, &["orders", &id.to_string(), "cancel"]));
        call.send(authorized(session)(request)).await?;
        Ok(())
    }

    /// Whether order_service is alive.
    pub(crate) async fn order_is_alive(&self) -> anyhow::Result<()> {
        self.alive(&self.order).await
    }
}

fn authorized(session: &Session) -> impl Fn(RequestBuilder) -> RequestBuilder {
    |request| request.bearer_auth(session.token.expose_secret())
}
