use chrono::{DateTime, TimeDelta};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, PaginatorTrait as _, Statement};
use shop_core::{Clock, Currency, Money, OrderId, ProductId, UserId};
use shop_runtime::database;
use tracing_subscriber::layer::SubscriberExt as _;
use uuid::Uuid;

use super::{
    entity::{idempotency_key, order},
    *,
};
use crate::{
    domain::{Account, Cancellation, Customer, Item, Order, OrderToken, Quote, TokenHash, Viewer},
    migration::Migrator,
};

const KEY: [u8; 32] = [1; 32];
const REQUEST: [u8; 32] = [2; 32];
const OTHER_REQUEST: [u8; 32] = [3; 32];

/// A store for one test; dropping it drops the database.
struct TestStore {
    store: Store,
    clock: Clock,
    database: Database,
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
        let store = Store::new(database.clone(), clock.clone(), "order_service");
        Self { store, clock, database, _server: server }
    }

    async fn reserved(&self) -> Reservation {
        match self.store.reserve(KEY, REQUEST).await.unwrap() {
            KeyState::Reserved(reservation) => reservation,
            other => panic!("{other:?}"),
        }
    }

    fn order(&self) -> Order {
        let price = Money::from_minor(50_000).unwrap();
        let item = Item { product_id: ProductId(1), name: "Lamp".to_owned(), quantity: 1, price };
        let quote = Quote { items: vec![item], total: price, currency: Currency::RUB };
        let customer = Customer { account: None, email: "buyer@example.com".parse().unwrap() };
        Order::place(OrderId(self.clock.new_id()), customer, quote, self.clock.now())
    }
}

async fn place(
    test: &TestStore,
    order: &Order,
    token: Option<TokenHash>,
    answer: Option<(&Reservation, &Answer)>,
) -> Result<(), PlaceError> {
    test.store.place(order, &order.created(None), token, answer).await
}

fn answer() -> Answer {
    Answer {
        status: 201,
        location: "/orders/1".to_owned(),
        body: "{}".to_owned(),
        sealed_token: Some([5; 32]),
    }
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
    a_key_is_reserved_once,
    a_crashed_attempt_loses_its_key_when_the_lease_is_over,
    an_attempt_that_comes_back_too_late_writes_nothing,
    a_kept_answer_is_not_released,
    keys_past_their_day_are_retired_in_chunks,
    an_order_is_read_as_it_was_written,
    a_guests_order_is_its_tokens_alone,
    what_a_release_without_codes_cancelled_is_read_as_unspecified,
    pending_orders_are_found_by_their_index,
    a_time_out_is_part_of_the_orders_trace,
);

async fn a_key_is_reserved_once(test: TestStore) {
    let reservation = test.reserved().await;
    assert!(matches!(test.store.reserve(KEY, REQUEST).await.unwrap(), KeyState::Running));
    assert!(matches!(test.store.reserve(KEY, OTHER_REQUEST).await.unwrap(), KeyState::OtherRequest));
    test.store.release(&reservation).await.unwrap();
    test.reserved().await;
}

async fn a_crashed_attempt_loses_its_key_when_the_lease_is_over(test: TestStore) {
    test.reserved().await;
    test.clock.advance(TimeDelta::seconds(19));
    assert!(matches!(test.store.reserve(KEY, REQUEST).await.unwrap(), KeyState::Running));
    test.clock.advance(TimeDelta::seconds(2));
    assert!(matches!(test.store.reserve(KEY, OTHER_REQUEST).await.unwrap(), KeyState::OtherRequest));
    test.reserved().await;
}

async fn an_attempt_that_comes_back_too_late_writes_nothing(test: TestStore) {
    let late = test.reserved().await;
    test.clock.advance(TimeDelta::seconds(21));
    let current = test.reserved().await;
    let outcome = place(&test, &test.order(), None, Some((&late, &answer()))).await;
    assert!(matches!(outcome, Err(PlaceError::ReservationLost)), "{outcome:?}");
    assert_eq!(order::Entity::find().count(&test.database).await.unwrap(), 0);
    test.store.release(&late).await.unwrap();

    place(&test, &test.order(), None, Some((&current, &answer()))).await.unwrap();
    let KeyState::Answered(kept) = test.store.reserve(KEY, REQUEST).await.unwrap() else { panic!() };
    assert_eq!(kept, answer());
    let outcome = place(&test, &test.order(), None, Some((&late, &answer()))).await;
    assert!(matches!(outcome, Err(PlaceError::ReservationLost)), "{outcome:?}");
    assert_eq!(order::Entity::find().count(&test.database).await.unwrap(), 1);
}

async fn a_kept_answer_is_not_released(test: TestStore) {
    let reservation = test.reserved().await;
    place(&test, &test.order(), None, Some((&reservation, &answer()))).await.unwrap();
    // As after a commit whose confirmation was lost.
    test.store.release(&reservation).await.unwrap();
    assert!(matches!(test.store.reserve(KEY, REQUEST).await.unwrap(), KeyState::Answered(_)));
}

async fn keys_past_their_day_are_retired_in_chunks(test: TestStore) {
    let key = |number: u16| {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        key
    };
    for number in 0..1100 {
        test.store.reserve(key(number), REQUEST).await.unwrap();
    }
    test.clock.advance(TimeDelta::hours(24));
    test.reserved().await;
    assert_eq!(test.store.retire_keys().await.unwrap(), 0);
    test.clock.advance(TimeDelta::seconds(1));
    assert_eq!(test.store.retire_keys().await.unwrap(), 1100);
    assert_eq!(idempotency_key::Entity::find().count(&test.database).await.unwrap(), 1);
}

async fn an_order_is_read_as_it_was_written(test: TestStore) {
    let (order, token) = (test.order(), OrderToken::new([7; 32]).hash());
    place(&test, &order, Some(token), None).await.unwrap();
    assert_eq!(test.store.find(&Viewer::Holder(token), order.id).await.unwrap(), Some(order));
}

async fn a_guests_order_is_its_tokens_alone(test: TestStore) {
    let (order, token) = (test.order(), OrderToken::new([7; 32]).hash());
    place(&test, &order, Some(token), None).await.unwrap();
    // As a release without tokens wrote it.
    let old = test.order();
    place(&test, &old, None, None).await.unwrap();
    for stranger in [Viewer::Guest, Viewer::Holder(OrderToken::new([8; 32]).hash())] {
        for id in [order.id, old.id] {
            assert_eq!(test.store.find(&stranger, id).await.unwrap(), None, "{stranger:?}");
            assert!(test.store.cancel(&stranger, id).await.unwrap().is_none(), "{stranger:?}");
        }
        assert_eq!(test.store.list(&stranger, None, 9).await.unwrap(), []);
    }
    assert_eq!(test.store.find(&Viewer::Holder(token), old.id).await.unwrap(), None);
    let outlines = test.store.outlines_of_guests(None, 9).await.unwrap();
    // Within one millisecond, chance decides which is newer.
    let mut newest_first = [old.id, order.id];
    newest_first.sort_unstable_by_key(|id| std::cmp::Reverse(id.0));
    assert_eq!(outlines.iter().map(|outline| outline.id).collect::<Vec<_>>(), newest_first);
    assert_eq!(outlines[0].masked_email, "b***@example.com");
}

async fn what_a_release_without_codes_cancelled_is_read_as_unspecified(test: TestStore) {
    let order = test.order();
    place(&test, &order, None, None).await.unwrap();
    let as_before = "UPDATE orders SET status = 'cancelled', aggregate_version = 2";
    test.database.execute_unprepared(as_before).await.unwrap();
    let admin =
        Viewer::Admin(Account { id: UserId(Uuid::nil()), email: "admin@example.com".parse().unwrap() });
    let life = test.store.life(&admin, order.id).await.unwrap().unwrap();
    assert_eq!(life.order.cancellation, Some(Cancellation::unspecified()));
    assert_eq!(life.timeline.entries().len(), 1);
}

async fn pending_orders_are_found_by_their_index(test: TestStore) {
    let transaction = database::begin(&test.database).await.unwrap();
    let backend = transaction.get_database_backend();
    let (explain, column) = match backend {
        DbBackend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        _ => ("EXPLAIN QUERY PLAN", "detail"),
    };
    if backend == DbBackend::Postgres {
        // Of an empty table it would read all.
        transaction.execute_unprepared("SET LOCAL enable_seqscan = off").await.unwrap();
    }
    let plan =
        format!("{explain} SELECT * FROM orders WHERE status = 'pending' ORDER BY created_at LIMIT 50");
    let rows = transaction.query_all_raw(Statement::from_string(backend, plan)).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.try_get("", column).unwrap()).collect();
    assert!(plan.iter().any(|line| line.contains("orders_pending")), "{plan:?}");
    transaction.rollback().await.unwrap();
}

async fn a_time_out_is_part_of_the_orders_trace(test: TestStore) {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
    let _installed = tracing::subscriber::set_default(subscriber);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let order = Order { trace_parent: Some(format!("00-{trace}-b7ad6b7169203331-01")), ..test.order() };
    place(&test, &order, None, None).await.unwrap();
    test.clock.advance(TimeDelta::seconds(61));
    let minute = TimeDelta::seconds(60);
    assert_eq!(test.store.time_out(minute, 9).await.unwrap().len(), 1);
    assert_eq!(test.store.time_out(minute, 9).await.unwrap(), []);
    let headers =
        "SELECT CAST(headers AS text) AS headers FROM outbox_messages WHERE event_type = 'order_cancelled'";
    let headers = Statement::from_string(test.database.get_database_backend(), headers);
    let row = test.database.query_one_raw(headers).await.unwrap().unwrap();
    let headers: serde_json::Value =
        serde_json::from_str(&row.try_get::<String>("", "headers").unwrap()).unwrap();
    assert_eq!(headers["traceparent"].as_str().unwrap().split('-').nth(1), Some(trace), "{headers}");
    assert_eq!(
        (&headers["ce-subject"], &headers["ce-source"]),
        (&order.id.to_string().into(), &"/order_service".into())
    );
}
