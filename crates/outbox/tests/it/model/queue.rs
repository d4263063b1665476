//! A queue of the exchange, and what its consumer saw.

use std::sync::{Arc, Mutex, PoisonError};

use shop_messaging::{Broker, Delivery, Failure, Subscription};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Arrival, EXCHANGE};

/// The kind of the message that ends a run.
pub(crate) const LAST: &str = "last";

/// With one consumer at most, which handles one message at a time: it sees them in the queue's order.
pub(crate) struct Queue {
    broker: Broker,
    subscription: Subscription,
    seen: Arc<Mutex<Vec<(Instant, Arrival)>>>,
    last: CancellationToken,
    consumer: Option<(CancellationToken, JoinSet<()>)>,
}

impl Queue {
    pub(crate) async fn declare(broker: &Broker, name: &str, max_length: u32) -> Self {
        let mut subscription = Subscription::new(EXCHANGE, name, ["thing.#"]);
        subscription.concurrency = 1;
        subscription.max_length = max_length;
        let queue = Self {
            broker: broker.clone(),
            subscription,
            seen: Arc::default(),
            last: CancellationToken::new(),
            consumer: None,
        };
        queue.bind().await;
        queue
    }

    pub(crate) async fn bind(&self) {
        self.broker.declare(&self.subscription).await.unwrap();
    }

    pub(crate) fn resume(&mut self) {
        if self.consumer.is_some() {
            return;
        }
        let (broker, subscription) = (self.broker.clone(), self.subscription.clone());
        let (seen, last, stop) = (self.seen.clone(), self.last.clone(), CancellationToken::new());
        let handler = move |delivery: Delivery| {
            if delivery.message.kind == LAST {
                last.cancel();
            } else {
                let arrival = (Instant::now(), Arrival::from(delivery));
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
            }
            async { Ok::<_, Failure>(()) }
        };
        let stopping = stop.clone();
        let mut task = JoinSet::new();
        task.spawn(async move { broker.consume(subscription, handler, stopping).await });
        self.consumer = Some((stop, task));
    }

    pub(crate) async fn halt(&mut self) {
        if let Some((stop, mut task)) = self.consumer.take() {
            stop.cancel();
            while task.join_next().await.is_some() {}
        }
    }

    /// Whether it has seen the last message, and so all before it.
    pub(crate) fn is_over(&self) -> bool {
        self.last.is_cancelled()
    }

    pub(crate) fn seen(&self) -> Vec<(Instant, Arrival)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn name(&self) -> &str {
        &self.subscription.queue
    }

    /// Publishes the last message to all queues.
    pub(crate) async fn publish_last(broker: &Broker) {
        let mut publisher =
            broker.publisher(shop_messaging::PublisherOptions::new(EXCHANGE, "the end of the run"));
        let last = shop_messaging::Message {
            id: Uuid::new_v4(),
            kind: LAST.to_owned(),
            routing_key: "thing.last".to_owned(),
            app_id: "tests".to_owned(),
            timestamp: chrono::DateTime::UNIX_EPOCH,
            headers: Default::default(),
            payload: "{}".into(),
        };
        // A full queue refuses it: there is another try.
        let _ = publisher.publish(&[last], std::time::Duration::from_secs(5)).await;
        publisher.close().await;
    }
}
