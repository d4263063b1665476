use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lapin::{
    Acker, Channel,
    message::Delivery as Delivered,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio_util::sync::CancellationToken;

use super::{
    RabbitMq, codec,
    link::{GOODBYE, Link, short},
    topology,
};
use crate::{
    Delivery, Handler, Subscription, backoff,
    handling::{Handling, Settlement},
};

/// How a session with the broker ended without an error of its own.
enum End {
    Stopped,
    /// The broker took the queue away, or the channel.
    Cancelled,
}

pub(super) async fn consume(
    rabbitmq: &RabbitMq,
    subscription: &Subscription,
    handler: &dyn Handler,
    stop: &CancellationToken,
) {
    rabbitmq.uri.warn();
    let mut failures = 0;
    while !stop.is_cancelled() {
        let opened = stop.run_until_cancelled(Session::open(rabbitmq, subscription)).await;
        let outcome = match opened {
            None => return,
            Some(Ok(session)) => {
                tracing::info!(broker = %rabbitmq, queue = subscription.queue, "consuming");
                failures = 0;
                handler.consuming();
                session.run(subscription, handler, stop).await
            }
            Some(Err(error)) => Err(error),
        };
        let error = match outcome {
            Ok(End::Stopped) => return,
            Ok(End::Cancelled) => "cancelled by the broker".to_owned(),
            Err(error) => error.to_string(),
        };
        failures += 1;
        handler.not_consuming(&error);
        let pause = backoff::after(failures);
        tracing::warn!(broker = %rabbitmq, queue = subscription.queue, error, ?pause, "not consuming");
        let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

struct Session {
    deliveries: lapin::Consumer,
    channel: Channel,
    link: Link,
}

impl Session {
    async fn open(rabbitmq: &RabbitMq, subscription: &Subscription) -> lapin::Result<Self> {
        let link = Link::open(&rabbitmq.uri, &subscription.queue).await?;
        let channel = link.channel().await?;
        topology::subscription(&channel, subscription).await?;
        channel.basic_qos(subscription.concurrency.max(1), BasicQosOptions::default()).await?;
        let queue = short(&subscription.queue)?;
        let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
        let deliveries = channel.basic_consume(queue, tag, options, FieldTable::default()).await?;
        Ok(Self { deliveries, channel, link })
    }

    async fn run(
        mut self,
        subscription: &Subscription,
        handler: &dyn Handler,
        stop: &CancellationToken,
    ) -> lapin::Result<End> {
        let queue = subscription.queue.as_str();
        // Cancelled with the session too: a message is tried again where its acknowledgement can arrive.
        let over = stop.child_token();
        let handling = Handling::new(handler, subscription, &over);
        let (mut in_hand, mut finished) = (FuturesUnordered::new(), Vec::new());
        let outcome = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(End::Stopped),
                Some(handled) = in_hand.next() => match handled {
                    Ok(handled) => finished.extend(handled),
                    Err(error) => break Err(error),
                },
                // The broker sends no more than `concurrency` unsettled ones, so this is bounded by it.
                delivered = self.deliveries.next() => match delivered {
                    Some(Ok(delivered)) => in_hand.push(handle(delivered, queue, &handling, &over)),
                    Some(Err(error)) => break Err(error),
                    None => break Ok(End::Cancelled),
                },
            }
        };
        over.cancel();
        // What the handler has is finished in any case. If the connection is lost it is delivered again, and the inbox recognises it.
        while let Some(handled) = in_hand.next().await {
            finished.extend(handled.unwrap_or_else(|error| {
                tracing::debug!(queue, %error, "an acknowledgement was lost");
                None
            }));
        }
        let stopped = matches!(outcome, Ok(End::Stopped));
        if stopped && !subscription.ordered {
            // If there is no answer, what still arrives is ignored, and returns to the queue when the connection ends.
            let cancel = self.channel.basic_cancel(self.deliveries.tag(), BasicCancelOptions::default());
            let _ = tokio::time::timeout(GOODBYE, cancel).await;
        }
        for handled in finished {
            // What this consumer had, and what came since, goes back all at once with the connection, in the queue's order,
            // before the next consumer becomes active. A cancelled one would be succeeded while it still had messages.
            if subscription.ordered && handled.settlement == Settlement::Again {
                continue;
            }
            if let Err(error) = handled.settle().await {
                tracing::debug!(queue, %error, "an acknowledgement was lost");
            }
        }
        drop(in_hand);
        if stopped {
            self.link.close().await;
        }
        outcome
    }
}

/// A delivery that was handled and has not been acknowledged.
struct Handled {
    acker: Acker,
    settlement: Settlement,
}

/// Lets the handler handle a delivery and acknowledges it. Once the session is over, it is returned unacknowledged: an
/// acknowledgement lets another message come, to this consumer or, in an ordered queue, to the next.
fn handle<'s>(
    delivered: Delivered,
    queue: &str,
    handling: &'s Handling<'_>,
    over: &'s CancellationToken,
) -> impl Future<Output = lapin::Result<Option<Handled>>> + use<'s> {
    let Delivered { properties, routing_key, data, acker, .. } = delivered;
    let id = codec::id(&properties);
    if id.is_none() {
        tracing::error!(queue, %routing_key, "a message without an id, to the dead letters");
    }
    // Here and not in the future: messages take their places in the order in which they come.
    let settlement = id.map(|id| {
        let message = codec::message(id, routing_key.as_str(), &properties, data);
        handling.handle(Delivery { message, attempt: codec::attempt(&properties) })
    });
    async move {
        let settlement = match settlement {
            Some(settlement) => settlement.await,
            None => Settlement::Dead,
        };
        let handled = Handled { acker, settlement };
        if over.is_cancelled() {
            return Ok(Some(handled));
        }
        handled.settle().await?;
        Ok(None)
    }
}

impl Handled {
    async fn settle(self) -> lapin::Result<()> {
        match self.settlement {
            Settlement::Done => self.acker.ack(BasicAckOptions::default()).await?,
            Settlement::Again => {
                self.acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?
            }
            Settlement::Dead => self.acker.reject(BasicRejectOptions { requeue: false }).await?,
        };
        Ok(())
    }
}
