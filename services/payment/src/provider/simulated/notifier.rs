use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use serde::Serialize;
use shop_core::{Clock, OrderId};
use shop_runtime::{Periodically, Scope, client};
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

use super::{Charge, ChargeState};
use crate::signature::WebhookKey;

/// How many webhooks may wait. More are dropped: the shop asks anyway.
const WAITING: usize = 1000;

const RETRIES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(500)).with_max_times(3).with_jitter();

/// The header with the signature.
pub(crate) const HEADER: &str = "simulated-signature";

/// Tells the shop about charges, by signed webhooks.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    waiting: mpsc::Sender<Webhook>,
    clock: Clock,
}

/// The body of a webhook.
#[derive(Debug, Serialize)]
struct Webhook {
    id: Uuid,
    r#type: &'static str,
    created: i64,
    data: Data,
}

#[derive(Debug, Serialize)]
struct Data {
    order_id: OrderId,
    idempotency_key: String,
}

impl Notifier {
    /// Sends webhooks to `url`, signed with `key`, until the scope's lifecycle ends.
    pub(in crate::provider) fn start(url: Url, key: WebhookKey, scope: &Scope) -> anyhow::Result<Self> {
        let (sender, mut waiting) = mpsc::channel::<Webhook>(WAITING);
        let clock = scope.clock.clone();
        let post = Post { http: client::client()?, url, key, clock: clock.clone() };
        let stopping = scope.lifecycle.stopping();
        scope.lifecycle.spawn("simulated webhooks", async move {
            while let Some(Some(webhook)) = stopping.run_until_cancelled(waiting.recv()).await {
                if stopping.run_until_cancelled(post.deliver(&webhook)).await.is_none() {
                    break;
                }
            }
            Ok(())
        });
        Ok(Self { waiting: sender, clock })
    }

    /// Tells of a change of `charge`, later.
    pub(super) fn notify(&self, charge: &Charge) {
        let webhook = Webhook {
            id: self.clock.new_id(),
            r#type: match charge.state {
                ChargeState::Charged => "charge.succeeded",
                ChargeState::Declined => "charge.failed",
                ChargeState::Refunded => "charge.refunded",
            },
            created: charge.created_at.timestamp(),
            data: Data { order_id: charge.order_id, idempotency_key: charge.idempotency_key.clone() },
        };
        // If there is no room, the shop has enough to do.
        drop(self.waiting.try_send(webhook));
    }
}

/// The way to the shop.
struct Post {
    http: reqwest::Client,
    url: Url,
    key: WebhookKey,
    clock: Clock,
}

impl Post {
    /// Sends `webhook`, a few times if need be.
    async fn deliver(&self, webhook: &Webhook) {
        let mut pauses = RETRIES.build();
        while let Err(error) = self.send(webhook).await {
            let Some(pause) = pauses.next() else {
                static UNSENT: Periodically = Periodically::line();
                if let Some(count) = UNSENT.due() {
                    let error = error.without_url();
                    tracing::warn!(%error, count, "simulated webhooks could not be delivered");
                }
                return;
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, webhook: &Webhook) -> reqwest::Result<()> {
        let body = serde_json::to_vec(webhook).unwrap_or_default();
        let signature = self.key.sign(&body, self.clock.now());
        let request = self.http.post(self.url.clone());
        let request = request.header("content-type", "application/json").header(HEADER, signature).body(body);
        client::send("POST /webhooks/simulated", request).await?.error_for_status()?;
        Ok(())
    }
}
