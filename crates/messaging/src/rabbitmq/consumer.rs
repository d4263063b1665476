use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lapin::{
    Channel,
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
    consume::{self, Settlement},
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
        let mut handling = FuturesUnordered::new();
        let outcome = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(End::Stopped),
                Some(settled) = handling.next() => if let Err(error) = settled { break Err(error) },
                // The broker sends no more than `concurrency` unsettled ones, so this is bounded by it.
                delivered = self.deliveries.next() => match delivered {
                    Some(Ok(delivered)) => handling.push(settle(delivered, queue, handler, stop)),
                    Some(Err(error)) => break Err(error),
                    None => break Ok(End::Cancelled),
                },
            }
        };
        let stopped = matches!(outcome, Ok(End::Stopped));
        let no_more = async {
            if stopped {
                // Without an answer, what still comes is not looked at and goes back with the connection.
                let cancel = self.channel.basic_cancel(self.deliveries.tag(), BasicCancelOptions::default());
                let _ = tokio::time::timeout(GOODBYE, cancel).await;
            }
        };
        // What the handler has is finished in any case. Without a connection it comes again, and the inbox knows it.
        let finish = async {
            while let Some(settled) = handling.next().await {
                if let Err(error) = settled {
                    tracing::debug!(queue, %error, "an acknowledgement was lost");
                }
            }
        };
        tokio::join!(no_more, finish);
        drop(handling);
        if stopped {
            self.link.close().await;
        }
        outcome
    }
}

async fn settle(
    delivered: Delivered,
    queue: &str,
    handler: &dyn Handler,
    stop: &CancellationToken,
) -> lapin::Result<()> {
    let Delivered { properties, routing_key, data, acker, .. } = delivered;
    let settlement = match codec::id(&properties) {
        Some(id) => {
            let message = codec::message(id, routing_key.as_str(), &properties, data);
            let attempt = codec::attempt(&properties);
            consume::handle(handler, Delivery { message, attempt }, queue, stop).await
        }
        None => {
            tracing::error!(queue, %routing_key, "a message without an id, to the dead letters");
            Settlement::Dead
        }
    };
    match settlement {
        Settlement::Done => acker.ack(BasicAckOptions::default()).await?,
        Settlement::Again => {
            acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?
        }
        Settlement::Dead => acker.reject(BasicRejectOptions { requeue: false }).await?,
    };
    Ok(())
}
