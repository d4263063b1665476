//! Orders that were just placed: for a while, the message about one is edited as its state changes.
//!
//! Nothing is announced here, because Telegram tells nobody about an edited message. What a customer should be told, the notification
//! service sends as a new message, for every order of an account whose chat is linked, wherever it was placed. So the two
//! never say the same thing twice: this keeps the one message true that the customer is looking at, and that reaches the one who is not.
//!
//! A restart loses the follows, and there are only so many. The message then shows what the order was, and the next button pressed under it shows
//! what it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shop_client::{Orders, Owner};
use shop_core::{Language, OrderId, OrderStatus};
use shop_runtime::{
    Lifecycle, Periodically,
    config::{ExposeSecret as _, SecretString},
};
use teloxide::types::{ChatId, MessageId};
use tokio_util::sync::CancellationToken;

use crate::{api::Api, replies};

/// How many orders are followed at once. Each takes a connection to order_service.
const MOST: usize = 64;

/// How long an order is followed. Most are settled within seconds.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Follows orders. Clones share everything.
#[derive(Clone)]
pub(crate) struct Follows {
    api: Api,
    orders: Orders,
    lifecycle: Lifecycle,
    open: Arc<Mutex<HashMap<Place, CancellationToken>>>,
}

/// A message of the bot.
type Place = (ChatId, MessageId);

/// An order that was just placed.
pub(crate) struct Placed {
    pub(crate) order: OrderId,
    pub(crate) status: Option<OrderStatus>,
    /// The last step that the message shows.
    pub(crate) last: Option<u64>,
    /// The customer's.
    pub(crate) token: SecretString,
}

impl Follows {
    pub(crate) fn new(api: Api, orders: Orders, lifecycle: Lifecycle) -> Self {
        Self { api, orders, lifecycle, open: Arc::default() }
    }

    /// Keeps the message up to date until the order is settled, at most five minutes.
    pub(crate) fn start(&self, chat: ChatId, message: MessageId, language: Language, placed: Placed) {
        let Some(end) = self.open((chat, message)) else {
            static FULL: Periodically = Periodically::line();
            if let Some(count) = FULL.due() {
                tracing::info!(count, "orders are not followed, because too many are");
            }
            return;
        };
        let follows = self.clone();
        let stopping = self.lifecycle.stopping();
        self.lifecycle.spawn("follow", async move {
            tokio::select! {
                () = follows.update(chat, message, language, placed) => {}
                () = end.cancelled() => return Ok(()),
                () = tokio::time::sleep(LONGEST) => {}
                () = stopping.cancelled() => {}
            }
            follows.stop(chat, message);
            Ok(())
        });
    }

    /// Leaves the message alone from now on: a button under it was pressed, and it is about something else now.
    pub(crate) fn stop(&self, chat: ChatId, message: MessageId) {
        if let Some(end) = self.lock().remove(&(chat, message)) {
            end.cancel();
        }
    }

    fn open(&self, place: Place) -> Option<CancellationToken> {
        let mut open = self.lock();
        if open.len() >= MOST {
            return None;
        }
        let end = CancellationToken::new();
        if let Some(earlier) = open.insert(place, end.clone()) {
            earlier.cancel();
        }
        Some(end)
    }

    async fn update(&self, chat: ChatId, message: MessageId, language: Language, placed: Placed) {
        let owner = Owner::Account(placed.token.expose_secret());
        let mut life = match self.orders.follow(owner, placed.order, placed.last).await {
            Ok(Some(life)) => life,
            Ok(None) => return,
            Err(failure) => return tracing::info!(error = %failure, "an order is not followed"),
        };
        let mut shown = placed.status;
        while let Ok(Some(step)) = life.next().await {
            if step.status == shown {
                continue;
            }
            let Ok(Some(order)) = self.orders.get(owner, placed.order).await else { return };
            shown = order.status;
            if let Err(error) = self.api.edit(chat, message, &replies::receipt(language, &order)).await {
                return tracing::info!(error = %error, "the message about an order was not edited");
            }
            if shown.is_none_or(OrderStatus::is_settled) {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, CancellationToken>> {
        // Every change is one call of the map, so a panic elsewhere leaves nothing half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_only_so_many_and_a_message_has_one() {
        let nowhere = "http://127.0.0.1:1".parse().unwrap();
        let api = Api::new(&"1:s3cret".into(), "http://127.0.0.1:1".parse().unwrap()).unwrap();
        let orders = Orders::new(&nowhere, &shop_client::http().unwrap());
        let follows = Follows::new(api, orders, Lifecycle::new());
        let first = follows.open((ChatId(1), MessageId(1))).unwrap();
        let second = follows.open((ChatId(1), MessageId(1))).unwrap();
        assert!(first.is_cancelled() && !second.is_cancelled());
        for message in 2..=64 {
            assert!(follows.open((ChatId(1), MessageId(message))).is_some());
        }
        assert!(follows.open((ChatId(1), MessageId(65))).is_none());
        follows.stop(ChatId(1), MessageId(1));
        assert!(second.is_cancelled());
        assert!(follows.open((ChatId(1), MessageId(65))).is_some());
    }
}
