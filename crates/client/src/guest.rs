//! Ordering without an account.

use http::{Method, header};
use serde::Deserialize;
use shop_runtime::config::SecretString;
use uuid::Uuid;

use crate::{Failure, NewOrder, Order, Orders, retry};

/// A guest's order that was just placed, and what proves that it is theirs.
#[derive(Debug)]
pub struct GuestOrder {
    /// The order.
    pub order: Order,
    /// The token with which it is read and cancelled.
    pub token: SecretString,
}

/// What only the response to a guest has.
#[derive(Deserialize)]
struct Proof {
    order_token: SecretString,
}

impl Orders {
    /// Places an order without an account, for the address in `order`. As [`Orders::place`], it is retried under the same `key` while
    /// it is unclear whether it was placed. The key must be one that nobody can guess, because its response contains the token.
    ///
    /// # Errors
    /// As [`Orders::place`]; also refused as `too-many-orders` (429), and [`Failure::Unauthorized`] where guests may not order.
    pub async fn place_as_guest(&self, key: Uuid, order: &NewOrder<'_>) -> Result<GuestOrder, Failure> {
        retry::unclear(|| async {
            let key = format!("\"{key}\"");
            let request = || {
                let request = self.upstream().request(Method::POST, &["orders"]);
                let request = request.header("idempotency-key", &key).json(order);
                match order.language {
                    Some(language) => request.header(header::ACCEPT_LANGUAGE, language.code()),
                    None => request,
                }
            };
            let answer = self.upstream().call("POST /orders", request).await?;
            // Twice, because a flattened amount would lose its text.
            let Proof { order_token } = answer.json()?;
            Ok(GuestOrder { order: answer.json()?, token: order_token })
        })
        .await
    }
}
