//! What the tests of all backends share.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::{collections::BTreeMap, time::Duration};

use chrono::DateTime;
use shop_messaging::{
    Broker, Delivery, Handler, Message, Subscription,
    in_process::{InProcessBroker, SqliteBroker},
};
use shop_testing::TestBroker;
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const EXCHANGE: &str = "events";

/// Long enough for a loaded machine, short enough to fail before the test runner does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One of the backends, empty.
pub(crate) struct Bus {
    pub(crate) broker: Broker,
    pub(crate) rabbitmq: Option<TestBroker>,
    _folder: Option<TempDir>,
}

impl Bus {
    pub(crate) fn in_process() -> Self {
        Self { broker: InProcessBroker::default().into(), rabbitmq: None, _folder: None }
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = SqliteBroker::open(&folder.path().join("bus.db")).await.unwrap();
        Self { broker: broker.into(), rabbitmq: None, _folder: Some(folder) }
    }

    pub(crate) async fn rabbitmq() -> Option<Self> {
        let rabbitmq = shop_testing::rabbitmq().await?;
        let broker = Broker::open(&rabbitmq.url, None).unwrap();
        Some(Self { broker, rabbitmq: Some(rabbitmq), _folder: None })
    }
}

pub(crate) fn message(routing_key: &str) -> Message {
    let headers = [("aggregate_id", "42".into()), ("aggregate_version", 7.into())];
    Message {
        id: Uuid::new_v4(),
        kind: routing_key.replace('.', "_"),
        routing_key: routing_key.to_owned(),
        app_id: "test".to_owned(),
        timestamp: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        headers: BTreeMap::from(headers.map(|(name, value)| (name.to_owned(), value))),
        payload: r#"{"order_id":42}"#.into(),
    }
}

/// A window of messages that all have the same key.
pub(crate) fn messages(routing_key: &str, count: usize) -> Vec<Message> {
    (0..count).map(|_| message(routing_key)).collect()
}

/// A running consumer. Dropped, it dies as in a crash.
pub(crate) struct Consumer {
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Consumer {
    pub(crate) fn start(
        broker: &Broker,
        subscription: &Subscription,
        handler: impl Handler + 'static,
    ) -> Self {
        let (broker, subscription) = (broker.clone(), subscription.clone());
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let stopping = stop.clone();
        task.spawn(async move { broker.consume(subscription, handler, stopping).await });
        Self { stop, task }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.task.try_join_next().is_some()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task.join_next()).await.expect("it stops").unwrap().unwrap();
    }
}

/// What a handler was given, in its order.
pub(crate) struct Inbox(mpsc::UnboundedReceiver<Delivery>);

impl Inbox {
    pub(crate) fn new() -> (mpsc::UnboundedSender<Delivery>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        timeout(PATIENCE, self.0.recv()).await.expect("a delivery in time").expect("a consumer")
    }

    pub(crate) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for _ in 0..count {
            deliveries.push(self.next().await);
        }
        deliveries
    }

    /// Nothing more came until the consumer ended.
    pub(crate) async fn is_over(&mut self) -> bool {
        timeout(PATIENCE, self.0.recv()).await.expect("the consumer ends").is_none()
    }

    /// Nothing more comes, as far as a short wait can tell.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(500), self.0.recv()).await.is_err()
    }
}

/// A handler that takes everything and tells the inbox.
pub(crate) fn accept(
    inbox: mpsc::UnboundedSender<Delivery>,
) -> impl Fn(Delivery) -> std::future::Ready<Result<(), shop_messaging::Failure>> {
    move |delivery| {
        let _ = inbox.send(delivery);
        std::future::ready(Ok(()))
    }
}

/// Waits until `probe` says yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, probe: impl Fn() -> F) {
    let wait = async {
        while !probe().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} did not happen"));
}
