//! An event takes effect once, whatever happens in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use shop_messaging::{BoxError, Failure};
use shop_outbox::{
    NewMessage, Transaction,
    consumer::{Database, Effect, Handler, Options, Received},
    inbox::Receipt,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::kit::{
    Changed, Keep, Replica, dead, effects, event, eventually, prepare, send, subscription, until_effects,
};
use crate::support::Fixture;

on_both!(
    a_duplicate_takes_no_effect,
    an_effect_its_event_and_the_inbox_are_one_transaction,
    a_consumer_that_dies_after_its_commit_takes_effect_once,
    a_consumer_that_dies_before_its_commit_takes_effect_once,
    a_database_that_is_away_costs_no_attempt,
    an_error_that_the_handler_passes_over_is_no_success,
);

async fn a_duplicate_takes_no_effect(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let replica = Replica::start(&fixture, Keep::all()).await;
    let (first, second) = (event("a", 1), event("b", 1));
    send(&fixture, &[first.clone(), second, first.clone()]).await;
    send(&fixture, &[first]).await;
    replica.until_metric("duplicates_total", 2).await;
    replica.until_metric("handled_total", 2).await;
    assert_eq!(replica.metric("lag_seconds_count"), 2);
    assert_eq!(replica.metric("seconds_count"), 4);
    assert_eq!(replica.metric_of("in_hand", "keeper"), 0);
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await.len(), 2);
}

async fn an_effect_its_event_and_the_inbox_are_one_transaction(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    // It fails after it has written: a first attempt that kept anything would be seen.
    let handler = Keep::after(move |event| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { if event.attempt < 3 { Err(Failure::retry("not yet")) } else { Ok(()) } }
    });
    let replica = Replica::start(&fixture, handler.announcing()).await;
    send(&fixture, &[event("a", 1)]).await;
    replica.until_metric("handled_total", 1).await;
    assert_eq!((calls.load(Ordering::SeqCst), replica.metric("retried_total")), (3, 2));
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 1)]);
    assert_eq!(fixture.count("pending").await, 1, "the event that it announces");
}

async fn a_consumer_that_dies_after_its_commit_takes_effect_once(fixture: Fixture) {
    dies(fixture, Death::AfterCommit).await;
}

async fn a_consumer_that_dies_before_its_commit_takes_effect_once(fixture: Fixture) {
    dies(fixture, Death::BeforeCommit).await;
}

async fn dies(fixture: Fixture, death: Death) {
    prepare(&fixture, &subscription()).await;
    let doomed = Doomed { database: fixture.another_connection().await, death, dying: Arc::default() };
    let dying = Arc::clone(&doomed.dying);
    let handler = Keep::all().announcing();
    let replica =
        Replica::run(fixture.broker.clone(), doomed, subscription(), Options::default(), handler.clone());
    send(&fixture, &[event("a", 1)]).await;
    tokio::time::timeout(Duration::from_secs(20), dying.notified()).await.unwrap();
    replica.crash().await;
    assert_eq!(effects(&fixture.database).await.len(), usize::from(death == Death::AfterCommit));

    let replica = Replica::start(&fixture, handler).await;
    let (metric, other) = match death {
        Death::AfterCommit => ("duplicates_total", "handled_total"),
        Death::BeforeCommit => ("handled_total", "duplicates_total"),
    };
    replica.until_metric(metric, 1).await;
    assert_eq!(replica.metric(other), 0);
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 1)]);
    assert_eq!(fixture.count("pending").await, 1);
}

/// When a consumer dies.
#[derive(Clone, Copy, PartialEq)]
enum Death {
    BeforeCommit,
    AfterCommit,
}

/// A database whose consumers get stuck around their first commit, to be killed there.
#[derive(Clone)]
struct Doomed {
    database: DatabaseConnection,
    death: Death,
    dying: Arc<Notify>,
}

pub(crate) struct Mortal {
    inner: DatabaseTransaction,
    fate: Option<(Death, Arc<Notify>)>,
}

impl Mortal {
    pub(crate) fn inner(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

impl Database for Doomed {
    type Transaction = Mortal;

    async fn begin(&self) -> Result<Mortal, BoxError> {
        let inner = Database::begin(&self.database).await?;
        Ok(Mortal { inner, fate: Some((self.death, Arc::clone(&self.dying))) })
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        Database::forget(&self.database, retention, chunk).await
    }
}

impl Transaction for Mortal {
    type Error = DbErr;

    async fn append(&mut self, message: &NewMessage) -> Result<(), DbErr> {
        self.inner.append(message).await
    }

    async fn receive(&mut self, consumer: &str, message_id: Uuid) -> Result<Receipt, DbErr> {
        self.inner.receive(consumer, message_id).await
    }

    async fn holds(&mut self, consumer: &str, message_id: Uuid) -> Result<bool, DbErr> {
        self.inner.holds(consumer, message_id).await
    }

    async fn commit(self) -> Result<(), DbErr> {
        let Some((death, dying)) = self.fate else { return Transaction::commit(self.inner).await };
        if death == Death::AfterCommit {
            Transaction::commit(self.inner).await?;
            dying.notify_one();
            std::future::pending().await
        } else {
            // Kept until the future is dropped, as by a process that is killed here.
            let _uncommitted = self.inner;
            dying.notify_one();
            std::future::pending().await
        }
    }

    async fn rollback(self) -> Result<(), DbErr> {
        Transaction::rollback(self.inner).await
    }
}

impl Handler<Mortal> for Keep {
    type Event = Changed;
    const EVENT_TYPE: &'static str = "thing_changed";
    const ROUTING_KEY: &'static str = "thing.changed";

    async fn handle(&self, transaction: &mut Mortal, event: Received<Changed>) -> Result<Effect, Failure> {
        self.keep(transaction.inner(), event).await
    }
}

async fn a_database_that_is_away_costs_no_attempt(fixture: Fixture) {
    let subscription = shop_messaging::Subscription { delivery_limit: 2, ..subscription() };
    prepare(&fixture, &subscription).await;
    let away = Away { database: fixture.another_connection().await, left: Arc::new(AtomicU32::new(4)) };
    let left = Arc::clone(&away.left);
    let replica = Replica::run(fixture.broker.clone(), away, subscription, Options::default(), Keep::all());
    send(&fixture, &[event("a", 1)]).await;
    eventually("a failure", async || replica.progress.borrow().failing.is_some()).await;
    until_effects(&fixture, 1).await;
    replica.until_metric("handled_total", 1).await;
    assert_eq!(left.load(Ordering::SeqCst), 0);
    assert_eq!((replica.metric("retried_total"), replica.metric("dead_total")), (4, 0));
    assert!(replica.progress.borrow().failing.is_none());
    replica.stop().await;
    assert!(dead(&fixture).await.is_empty());
}

/// A database that cannot be reached at first.
#[derive(Clone)]
struct Away {
    database: DatabaseConnection,
    left: Arc<AtomicU32>,
}

impl Database for Away {
    type Transaction = DatabaseTransaction;

    async fn begin(&self) -> Result<DatabaseTransaction, BoxError> {
        let take = |left: u32| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => Err("connection refused".into()),
            Err(_) => Database::begin(&self.database).await,
        }
    }

    async fn forget(&self, retention: Duration, chunk: u32) -> Result<u64, BoxError> {
        Database::forget(&self.database, retention, chunk).await
    }
}

/// Passes over an error in its first attempt, which has ended the transaction.
struct Careless(Keep);

impl Handler<DatabaseTransaction> for Careless {
    type Event = Changed;
    const EVENT_TYPE: &'static str = "thing_changed";
    const ROUTING_KEY: &'static str = "thing.changed";

    async fn handle(
        &self,
        transaction: &mut DatabaseTransaction,
        event: Received<Changed>,
    ) -> Result<Effect, Failure> {
        let is_first = event.attempt == 1;
        let effect = self.0.keep(&*transaction, event).await?;
        if is_first {
            let breaking = match transaction.get_database_backend() {
                DbBackend::Postgres => "INSERT INTO nowhere VALUES (1)",
                // As a full disk does, this rolls back by itself.
                _ => "INSERT OR ROLLBACK INTO inbox_messages SELECT * FROM inbox_messages",
            };
            transaction.execute_unprepared(breaking).await.unwrap_err();
        }
        Ok(effect)
    }
}

async fn an_error_that_the_handler_passes_over_is_no_success(fixture: Fixture) {
    prepare(&fixture, &subscription()).await;
    let database = fixture.another_connection().await;
    let careless = Careless(Keep::all());
    let replica =
        Replica::run(fixture.broker.clone(), database, subscription(), Options::default(), careless);
    send(&fixture, &[event("a", 1)]).await;
    replica.until_metric("handled_total", 1).await;
    assert_eq!(replica.metric("retried_total"), 1);
    replica.stop().await;
    assert_eq!(effects(&fixture.database).await, [("a".to_owned(), 1)]);
}
