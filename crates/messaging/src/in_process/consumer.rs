//! The loop of a consumer.

use std::pin::pin;

use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    BrokerError, Delivery, Handler, Subscription, backoff,
    consume::{self, Settlement},
};

/// Queues that messages are taken from.
#[async_trait]
pub(super) trait Queues: Send + Sync {
    /// A message that is with a handler. When it is dropped unsettled, the message is delivered again.
    type Taken: Send;

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
    let mut handling = FuturesUnordered::new();
    let mut settled = Vec::new();
    let mut failures = 0;
    while !stop.is_cancelled() {
        let turn = queues.turn(queue, std::mem::take(&mut settled), concurrency - handling.len());
        match beside(&mut handling, &mut settled, turn).await {
            Ok(taken) => {
                failures = 0;
                handling.extend(taken.into_iter().map(|(delivery, taken)| async move {
                    (taken, consume::handle(handler, delivery, queue, stop).await)
                }));
            }
            Err(error) => {
                failures += 1;
                let pause = backoff::after(failures);
                tracing::warn!(queue, %error, ?pause, "not consuming");
                let pause = stop.run_until_cancelled(tokio::time::sleep(pause));
                beside(&mut handling, &mut settled, pause).await;
                continue;
            }
        }
        if settled.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(done) = handling.next() => settled.push(done),
                () = arrived.notified(), if handling.len() < concurrency => {}
            }
        }
    }
    loop {
        if !settled.is_empty() {
            let turn = queues.turn(queue, std::mem::take(&mut settled), 0);
            if let Err(error) = beside(&mut handling, &mut settled, turn).await {
                tracing::warn!(queue, %error, "handled messages will be delivered again");
            }
        } else if let Some(done) = handling.next().await {
            settled.push(done);
        } else {
            break;
        }
    }
}

/// Does `work` while the handlers go on: they may be waiting for the same lock as it, and be ahead in the line.
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
