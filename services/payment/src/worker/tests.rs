//! A worker that is killed: dropping its future is what `kill -9` is to a process.

use chrono::{DateTime, TimeDelta};
use shop_core::{Currency, Money, OrderId, PaymentId, events::StockReserved};
use shop_runtime::{
    TraceParent,
    database::{self, Database},
};

use super::*;
use crate::{
    config::SimulatedConfig,
    domain::State,
    migration::Migrator,
    provider::simulated::{Books, ChargeState, Simulated},
    store,
};

const AFTER_THE_LEASE: TimeDelta = TimeDelta::seconds(61);

struct Test {
    database: Database,
    store: Store,
    books: Books,
    clock: Clock,
    _server: Option<shop_testing::TestDatabase>,
}

impl Test {
    async fn on_sqlite() -> Self {
        Self::at("sqlite::memory:", None).await
    }

    async fn on_postgres() -> Option<Self> {
        let server = shop_testing::postgres().await?;
        Some(Self::at(&server.url.clone(), Some(server)).await)
    }

    async fn at(url: &str, server: Option<shop_testing::TestDatabase>) -> Self {
        let database = database::migrated::<Migrator>(&url.parse().unwrap(), crate::SCHEMA).await.unwrap();
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let store = Store::new(database.clone(), clock.clone());
        let books = Books::new(database.clone(), clock.clone());
        Self { database, store, books, clock, _server: server }
    }

    /// Calls may take `call_timeout`.
    fn worker(&self, call_timeout: Duration) -> Worker {
        let breaker = Breaker::default();
        let provider = Simulated::new(self.books.clone(), &SimulatedConfig::default(), None);
        Worker {
            store: self.store.clone(),
            provider: Arc::new(provider),
            metrics: Metrics::register(&shop_runtime::metrics::Metrics::default(), &breaker),
            breaker,
            call_timeout,
            clock: self.clock.clone(),
            wake: Arc::default(),
        }
    }

    async fn opened(&self, minor: i64) -> Payment {
        let reserved = StockReserved {
            order_id: OrderId(self.clock.new_id()),
            customer_email: "buyer@example.com".parse().unwrap(),
            total_amount: Money::from_minor(minor).unwrap(),
            currency: Currency::RUB,
            items: Vec::new(),
            reserved_until: self.clock.now() + TimeDelta::seconds(1800),
        };
        let (id, now) = (PaymentId(self.clock.new_id()), self.clock.now());
        let payment = Payment::open(reserved, id, "simulated", TimeDelta::seconds(600), now);
        store::open(&self.database, payment, &TraceParent::default(), now).await.unwrap().unwrap()
    }

    async fn found(&self, payment: &Payment) -> Payment {
        self.store.list(Some(payment.order_id), None, 1).await.unwrap().pop().unwrap()
    }

    async fn charges(&self, payment: &Payment) -> Vec<ChargeState> {
        let charges = self.books.list(Some(payment.order_id), None, 10).await.unwrap();
        charges.into_iter().map(|charge| charge.state).collect()
    }

    /// Runs `worker` until `condition` holds, and kills it.
    async fn run_until(&self, worker: Worker, condition: impl AsyncFn() -> bool) {
        let working = Box::pin(worker.run(CancellationToken::new()));
        let holds = async {
            while !condition().await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let outcome = timeout(Duration::from_secs(30), async {
            tokio::select! {
                () = working => panic!("nobody stopped it"),
                () = holds => {}
            }
        });
        outcome.await.expect("it works");
    }
}

macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::$case(super::Test::on_sqlite().await).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $case() {
                let Some(test) = super::Test::on_postgres().await else { return };
                super::$case(test).await;
            })*
        }
    };
}

on_both_databases!(
    a_worker_that_dies_between_a_charge_and_its_record_charges_nobody_twice,
    a_worker_that_dies_before_a_charge_leaves_it_to_the_next,
    a_worker_that_dies_before_a_cancelled_order_is_refunded_leaves_it_to_the_next,
    a_worker_that_was_frozen_past_its_lease_makes_no_call,
);

async fn a_worker_that_dies_between_a_charge_and_its_record_charges_nobody_twice(test: Test) {
    // Charged, and never answered.
    let payment = test.opened(50_004).await;
    let charged = async || test.charges(&payment).await == [ChargeState::Charged];
    test.run_until(test.worker(Duration::from_secs(3600)), charged).await;
    assert_eq!(test.found(&payment).await.state, State::Pending);
    test.clock.advance(AFTER_THE_LEASE);
    let processed = async || test.found(&payment).await.state == State::Processed;
    test.run_until(test.worker(Duration::from_secs(5)), processed).await;
    let found = test.found(&payment).await;
    assert_eq!((found.attempts, found.version), (2, 1), "it was asked about");
    assert_eq!(test.charges(&payment).await, [ChargeState::Charged]);
}

async fn a_worker_that_dies_before_a_charge_leaves_it_to_the_next(test: Test) {
    // Two seconds before it is charged.
    let payment = test.opened(50_002).await;
    let begun = async || test.found(&payment).await.attempts == 1;
    test.run_until(test.worker(Duration::from_secs(3600)), begun).await;
    assert_eq!(test.charges(&payment).await, []);
    test.clock.advance(AFTER_THE_LEASE);
    let processed = async || test.found(&payment).await.state == State::Processed;
    test.run_until(test.worker(Duration::from_secs(5)), processed).await;
    assert_eq!(test.found(&payment).await.attempts, 3, "it was asked about, and then charged");
    assert_eq!(test.charges(&payment).await, [ChargeState::Charged]);
}

async fn a_worker_that_dies_before_a_cancelled_order_is_refunded_leaves_it_to_the_next(test: Test) {
    let payment = test.opened(50_004).await;
    let charged = async || test.charges(&payment).await == [ChargeState::Charged];
    test.run_until(test.worker(Duration::from_secs(3600)), charged).await;
    store::cancel(&test.database, payment.order_id, test.clock.now()).await.unwrap();
    test.clock.advance(AFTER_THE_LEASE);
    let refunded = async || test.found(&payment).await.state == State::Refunded;
    test.run_until(test.worker(Duration::from_secs(5)), refunded).await;
    assert_eq!(test.found(&payment).await.version, 2);
    assert_eq!(test.charges(&payment).await, [ChargeState::Refunded]);
}

async fn a_worker_that_was_frozen_past_its_lease_makes_no_call(test: Test) {
    let payment = test.opened(50_000).await;
    let worker = test.worker(Duration::from_secs(5));
    let job = test.store.claim("simulated", &worker.breaker, 1).await.unwrap().jobs.pop().unwrap();
    test.clock.advance(AFTER_THE_LEASE);
    worker.work(job).await;
    assert_eq!(test.charges(&payment).await, []);
}
