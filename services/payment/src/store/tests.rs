use chrono::{DateTime, TimeDelta};
use sea_orm::{ActiveValue::Set, EntityTrait as _, PaginatorTrait as _};
use shop_core::{Currency, Money, OrderId, PaymentId, events::StockReserved};
use shop_runtime::{TraceParent, database};

use super::{
    entity::{cancelled_order, payment},
    work::LEASE,
    *,
};
use crate::{
    domain::{Breaker, Call, CallError, Doubt, Payment, State, Verdict},
    migration::Migrator,
};

/// A store for one test; dropping it drops the database.
struct TestStore {
    store: Store,
    clock: Clock,
    database: Database,
    breaker: Breaker,
    _server: Option<shop_testing::TestDatabase>,
}

impl TestStore {
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
        Self { store, clock, database, breaker: Breaker::default(), _server: server }
    }

    fn payment(&self) -> Payment {
        let reserved = StockReserved {
            order_id: OrderId(self.clock.new_id()),
            customer_email: "buyer@example.com".parse().unwrap(),
            total_amount: Money::from_minor(50_000).unwrap(),
            currency: Currency::RUB,
            items: Vec::new(),
            reserved_until: self.clock.now() + TimeDelta::seconds(1800),
        };
        let id = PaymentId(self.clock.new_id());
        Payment::open(reserved, id, "simulated", TimeDelta::seconds(600), self.clock.now())
    }

    async fn opened(&self) -> Payment {
        let payment = self.payment();
        let now = self.clock.now();
        let trace = TraceParent::from_stored(Some("00-1-2-01".to_owned()));
        open(&self.database, payment, &trace, now).await.unwrap().unwrap()
    }

    async fn claimed(&self) -> Vec<Job> {
        self.store.claim("simulated", &self.breaker, 10).await.unwrap().jobs
    }

    async fn found(&self, payment: &Payment) -> Payment {
        self.store.list(Some(payment.order_id), None, 2).await.unwrap().pop().unwrap()
    }
}

fn charged() -> Result<Verdict, CallError> {
    Ok(Verdict::Charged { reference: "ch_1".to_owned() })
}

macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::$case(super::TestStore::on_sqlite().await).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $case() {
                let Some(store) = super::TestStore::on_postgres().await else { return };
                super::$case(store).await;
            })*
        }
    };
}

on_both_databases!(
    a_payment_is_read_as_it_was_written,
    an_order_has_one_payment,
    a_claimed_payment_is_left_to_its_worker,
    a_crash_leaves_a_payment_that_is_asked_about,
    a_worker_that_comes_back_too_late_records_nothing,
    a_cancellation_during_a_call_is_not_lost,
    an_open_breaker_leaves_payments_as_they_are,
    a_row_that_cannot_be_read_holds_up_no_other,
    cancellations_of_orders_without_a_payment_are_forgotten,
);

async fn a_payment_is_read_as_it_was_written(test: TestStore) {
    let opened = test.opened().await;
    assert_eq!(test.found(&opened).await, opened);
    assert_eq!(test.claimed().await[0].trace.as_text(), Some("00-1-2-01"));
}

async fn an_order_has_one_payment(test: TestStore) {
    let first = test.opened().await;
    let second = Payment { order_id: first.order_id, ..test.payment() };
    let trace = TraceParent::default();
    assert_eq!(open(&test.database, second, &trace, test.clock.now()).await.unwrap(), None);
    assert_eq!(payment::Entity::find().count(&test.database).await.unwrap(), 1);
}

async fn a_claimed_payment_is_left_to_its_worker(test: TestStore) {
    test.opened().await;
    let claimed = test.claimed().await;
    assert_eq!((claimed.len(), claimed[0].call, claimed[0].payment.attempts), (1, Call::Charge, 1));
    assert_eq!(test.claimed().await.len(), 0);
    assert_eq!(test.store.count_in_doubt().await.unwrap(), 0, "a call is under way");
    let other = test.store.claim("stripe", &test.breaker, 10).await.unwrap();
    assert_eq!(other.seen, 0, "another provider's");
}

async fn a_crash_leaves_a_payment_that_is_asked_about(test: TestStore) {
    test.opened().await;
    drop(test.claimed().await);
    test.clock.advance(LEASE - TimeDelta::seconds(1));
    assert_eq!(test.claimed().await.len(), 0);
    test.clock.advance(TimeDelta::seconds(2));
    assert_eq!(test.store.count_in_doubt().await.unwrap(), 1);
    let claimed = test.claimed().await;
    assert_eq!((claimed.len(), claimed[0].call), (1, Call::Ask));
    let concluded = test.store.conclude(&claimed[0], &charged(), TimeDelta::zero()).await.unwrap();
    assert_eq!(concluded.unwrap().state, State::Processed);
}

async fn a_worker_that_comes_back_too_late_records_nothing(test: TestStore) {
    let opened = test.opened().await;
    let late = test.claimed().await.pop().unwrap();
    test.clock.advance(LEASE);
    let current = test.claimed().await.pop().unwrap();
    assert_eq!(test.store.conclude(&late, &charged(), TimeDelta::zero()).await.unwrap(), None);
    assert_eq!(test.found(&opened).await.state, State::Pending);
    let concluded = test.store.conclude(&current, &charged(), TimeDelta::zero()).await.unwrap();
    assert_eq!(concluded.unwrap().version, 1);
    assert_eq!(
        test.store.conclude(&current, &charged(), TimeDelta::zero()).await.unwrap(),
        None,
        "only once"
    );
}

async fn a_cancellation_during_a_call_is_not_lost(test: TestStore) {
    let opened = test.opened().await;
    let job = test.claimed().await.pop().unwrap();
    cancel(&test.database, opened.order_id, test.clock.now()).await.unwrap().unwrap();
    assert_eq!(test.claimed().await.len(), 0, "the call is under way");
    test.store.conclude(&job, &charged(), TimeDelta::seconds(9)).await.unwrap().unwrap();
    let refund = test.claimed().await.pop().unwrap();
    assert_eq!((refund.call, refund.payment.state), (Call::Refund, State::Refunding));
}

async fn an_open_breaker_leaves_payments_as_they_are(test: TestStore) {
    let opened = test.opened().await;
    for _ in 0..5 {
        test.breaker.permit(test.clock.now()).unwrap().failed(test.clock.now());
    }
    assert_eq!(test.claimed().await.len(), 0);
    let found = test.found(&opened).await;
    assert_eq!((found.attempts, found.doubt), (0, Doubt::None));
    assert!(found.due_at.unwrap() > test.clock.now());
    test.clock.advance(TimeDelta::seconds(10));
    assert_eq!(test.claimed().await.len(), 1);
}

async fn a_row_that_cannot_be_read_holds_up_no_other(test: TestStore) {
    let (broken, other) = (test.opened().await, test.opened().await);
    let change =
        payment::ActiveModel { id: Set(broken.id.0), currency: Set("rub".to_owned()), ..Default::default() };
    payment::Entity::update(change).exec_without_returning(&test.database).await.unwrap();
    let claimed = test.claimed().await;
    assert_eq!(claimed.iter().map(|job| job.payment.id).collect::<Vec<_>>(), [other.id]);
    test.clock.advance(TimeDelta::minutes(9));
    assert_eq!(
        test.store.claim("simulated", &test.breaker, 10).await.unwrap().seen,
        1,
        "the other, as its lease is over"
    );
}

async fn cancellations_of_orders_without_a_payment_are_forgotten(test: TestStore) {
    for _ in 0..3 {
        let order_id = OrderId(test.clock.new_id());
        for _ in 0..2 {
            assert_eq!(cancel(&test.database, order_id, test.clock.now()).await.unwrap(), None);
        }
    }
    assert_eq!(test.store.forget_cancelled_orders().await.unwrap(), 0);
    test.clock.advance(TimeDelta::days(36));
    assert_eq!(test.store.forget_cancelled_orders().await.unwrap(), 3);
    assert_eq!(cancelled_order::Entity::find().count(&test.database).await.unwrap(), 0);
}
