//! The loop of a consumer.

use std::{pin::pin, time::Duration};

use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fences::Fence;
use crate::{
    BrokerError, Delivery, Handler, Subscription, backoff,
    handling::{Handling, Settlement},
};

/// How often a waiting consumer checks whether it is its turn.
const LOOK: Duration = Duration::from_millis(50);

/// Queues that messages are taken from.
#[async_trait]
pub(super) trait Queues: Send + Sync {
    /// A message being handled. If it is dropped without being settled, the message is delivered again.
    type Taken: Send;

    /// Makes a consumer the active one of `queue`, until what is returned is dropped; `None` while another is.
    fn activate(&self, queue: &str) -> Option<Fence>;

    /// Settles what was handled, and takes up to `room` messages from `queue`.
    ///
    /// # Errors
    /// Neither was done.
    async fn turn(
        &self,
        queue: &str,
        settled: Vec<(Self::Taken, Settlement)>,
        room: usize,
    ) -> Result<Vec<(Delivery, Self::Taken)>, BrokerError>;
}

/// Consumes until `stop`, then finishes what the handler has. `arrived` is notified when the queue has messages.
pub(super) async fn consume<Q: Queues>(
    queues: &Q,
    arrived: &Notify,
    subscription: &Subscription,
    handler: &dyn Handler,
    stop: &CancellationToken,
) {
    let queue = subscription.queue.as_str();
    let concurrency = usize::from(subscription.concurrency.max(1));
    handler.consuming();
    // Dropped last: the next becomes active when all that this one had is back in the queue.
    let mut _active = None;
    if subscription.ordered {
        _active = stop.run_until_cancelled(activation(queues, queue)).await;
        if _active.is_none() {
            return;
        }
    }
    let handling = Handling::new(handler, subscription, stop);
    let mut in_hand = FuturesUnordered::new();
    let mut settled = Vec::new();
    let mut failures = 0;
    while !stop.is_cancelled() {
        let turn = queues.turn(queue, std::mem::take(&mut settled), concurrency - in_hand.len());
        match beside(&mut in_hand, &mut settled, turn).await {
            Ok(taken) => {
                if failures > 0 {
                    handler.consuming();
                }
                failures = 0;
                in_hand.extend(taken.into_iter().map(|(delivery, taken)| {
                    let settlement = handling.handle(delivery);
                    async move { (taken, settlement.await) }
                }));
            }
            Err(error) => {
                failures += 1;
                handler.not_consuming(&error.to_string());
                let pause = backoff::after(failures);
                tracing::warn!(queue, %error, ?pause, "not consuming");
                let pause = stop.run_until_cancelled(tokio::time::sleep(pause));
                beside(&mut in_hand, &mut settled, pause).await;
                continue;
            }
        }
        if settled.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(done) = in_hand.next() => settled.push(done),
                () = arrived.notified(), if in_hand.len() < concurrency => {}
            }
        }
    }
    loop {
        if !settled.is_empty() {
            let turn = queues.turn(queue, std::mem::take(&mut settled), 0);
            if let Err(error) = beside(&mut in_hand, &mut settled, turn).await {
                tracing::warn!(queue, %error, "handled messages will be delivered again");
            }
        } else if let Some(done) = in_hand.next().await {
            settled.push(done);
        } else {
            break;
        }
    }
}

/// Waits until no other consumer of `queue` is active.
async fn activation<Q: Queues>(queues: &Q, queue: &str) -> Fence {
    loop {
        if let Some(active) = queues.activate(queue) {
            return active;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Does `work` while the handlers continue: they may be waiting for the same lock, and be ahead of it.
async fn beside<T, H: Future<Output = S>, S>(
    handling: &mut FuturesUnordered<H>,
    settled: &mut Vec<S>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(done) = handling.next() => settled.push(done),
        }
    }
}
