use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta};
use sea_orm::{EntityTrait as _, QuerySelect as _};
use shop_core::{
    Clock, Currency, Money, OrderId, ProductId,
    events::{OrderCreated, OrderedItem},
};
use shop_outbox::{NewMessage, Transaction as _};
use shop_runtime::database;
use shop_testing::TestDatabase;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    SCHEMA,
    cache::{Cache as _, MemoryCache, Timing},
    domain::{Draft, Fields, Stock},
    migration::Migrator,
    stock::{
        booking::{Booking, Stockroom},
        desk::{Desk, Undone},
        entity::{reservation, reservation_line, stock},
        expiry,
        metrics::Metrics,
    },
    store::Products,
};

/// The catalog's tables for one test; dropping it drops the database.
#[derive(Clone)]
pub(super) struct Room {
    pub(super) products: Products,
    pub(super) clock: Clock,
    stockroom: Stockroom,
    desk: Desk,
    cache: Arc<MemoryCache>,
    _server: Option<Arc<TestDatabase>>,
}

/// How long pieces are reserved.
pub(super) const LASTS: TimeDelta = TimeDelta::seconds(1800);

impl Room {
    pub(super) async fn on_sqlite() -> Self {
        Self::at("sqlite::memory:", None).await
    }

    pub(super) async fn on_postgres() -> Option<Self> {
        let server = shop_testing::postgres().await?;
        Some(Self::at(&server.url.clone(), Some(server)).await)
    }

    async fn at(url: &str, server: Option<TestDatabase>) -> Self {
        let database = database::migrated::<Migrator>(&url.parse().unwrap(), SCHEMA).await.unwrap();
        let clock = Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let cache = Arc::new(MemoryCache::new(Timing::default(), clock.clone()));
        Self {
            products: Products::new(database.clone()),
            stockroom: Stockroom::new(database, cache.clone(), Metrics::default()),
            desk: Desk::new("catalog_service", clock.clone(), LASTS),
            clock,
            cache,
            _server: server.map(Arc::new),
        }
    }

    pub(super) fn order(&self) -> OrderId {
        OrderId(self.clock.new_id())
    }

    /// Handles `order_created`; returns the event type that was announced, and commits it.
    pub(super) async fn created(
        &self,
        order: OrderId,
        lines: &[(i64, u32)],
    ) -> Result<Option<String>, Undone> {
        let mut booking = self.stockroom.begin().await?;
        let announced = self.desk.created(&mut booking, ordered(order, lines)).await?;
        committed(booking, announced).await
    }

    pub(super) async fn confirmed(&self, order: OrderId) -> Result<Option<String>, Undone> {
        let mut booking = self.stockroom.begin().await?;
        let announced = self.desk.confirmed(&mut booking, order).await?;
        committed(booking, announced).await
    }

    pub(super) async fn cancelled(&self, order: OrderId) -> Result<(), Undone> {
        let mut booking = self.stockroom.begin().await?;
        self.desk.cancelled(&mut booking, order).await?;
        Ok(booking.commit().await?)
    }

    /// Handles the end of a reservation's time.
    pub(super) async fn expired(&self, order: OrderId) -> Result<Option<String>, Undone> {
        let mut booking = self.stockroom.begin().await?;
        let announced = self.desk.expired(&mut booking, order).await?;
        committed(booking, announced).await
    }

    /// Ends the reservations whose time is over; returns how many this replica has ended.
    pub(super) async fn swept(&self) -> u64 {
        expiry::sweep(&self.stockroom, &self.desk, &CancellationToken::new()).await.unwrap()
    }

    /// Puts `pieces` of `product` on sale.
    pub(super) async fn stock(&self, product: i64, pieces: u32) {
        self.replace(product, Some(pieces)).await;
    }

    /// What an administrator's PUT does.
    pub(super) async fn replace(&self, product: i64, pieces: Option<u32>) {
        let draft = Draft::new(Fields {
            name: "Thing".to_owned(),
            description: String::new(),
            price: Money::from_minor(100).unwrap(),
            category: "things".to_owned(),
            drawing: None,
        });
        let stock = pieces.map(|pieces| Stock::new(pieces).unwrap());
        self.products.replace(ProductId(product), &draft.unwrap(), stock).await.unwrap();
    }

    /// Leaves `product` as a replica of the previous release creates it: without a row in the books.
    pub(super) async fn forget_stock_of(&self, product: i64) {
        stock::Entity::delete_by_id(product).exec(self.stockroom.database()).await.unwrap();
    }

    /// What can be bought of `product`.
    pub(super) async fn available(&self, product: i64) -> u32 {
        self.products.find(ProductId(product)).await.unwrap().unwrap().stock
    }

    /// How often the cached list was invalidated.
    pub(super) fn invalidations(&self) -> u64 {
        self.cache.generation()
    }

    /// A transaction that holds the row of `product` in the books.
    pub(super) async fn lock_product(&self, product: i64) -> database::Transaction {
        let transaction = database::begin(self.stockroom.database()).await.unwrap();
        let row = stock::Entity::find_by_id(product).lock_exclusive();
        assert!(row.one(&transaction).await.unwrap().is_some());
        transaction
    }

    pub(super) async fn levels(&self) -> BTreeMap<i64, stock::Model> {
        let rows = stock::Entity::find().all(self.stockroom.database()).await.unwrap();
        rows.into_iter().map(|row| (row.product_id, row)).collect()
    }

    pub(super) async fn reservations(&self) -> BTreeMap<Uuid, reservation::Model> {
        let rows = reservation::Entity::find().all(self.stockroom.database()).await.unwrap();
        rows.into_iter().map(|row| (row.order_id, row)).collect()
    }

    /// Fails unless the books hold: nothing was lost, nothing was sold or reserved twice, nothing is below zero.
    pub(super) async fn check_books(&self) {
        let reservations = self.reservations().await;
        let (mut reserved, mut sold) = (BTreeMap::<i64, i64>::new(), BTreeMap::<i64, i64>::new());
        for line in reservation_line::Entity::find().all(self.stockroom.database()).await.unwrap() {
            let sum = match reservations[&line.order_id].state.as_str() {
                "reserved" => &mut reserved,
                "sold" => &mut sold,
                _ => continue,
            };
            *sum.entry(line.product_id).or_default() += line.quantity;
        }
        let levels = self.levels().await;
        for (product, level) in &levels {
            let of = |sums: &BTreeMap<i64, i64>| sums.get(product).copied().unwrap_or_default();
            assert_eq!(level.reserved, of(&reserved), "reserved: {level:?}");
            assert_eq!(level.received - of(&sold), level.on_hand, "on hand: {level:?}");
            assert!(level.on_hand >= level.reserved && level.reserved >= 0, "below zero: {level:?}");
            assert!(!level.discontinued || level.on_hand == level.reserved, "on sale: {level:?}");
        }
        assert!(reserved.keys().chain(sold.keys()).all(|product| levels.contains_key(product)));
        for reservation in reservations.values().filter(|reservation| reservation.cancelled) {
            assert!(matches!(reservation.state.as_str(), "released" | "rejected"), "{reservation:?}");
        }
    }
}

async fn committed(mut booking: Booking, announced: Option<NewMessage>) -> Result<Option<String>, Undone> {
    if let Some(event) = &announced {
        booking.append(event).await?;
    }
    booking.commit().await?;
    Ok(announced.map(|event| event.event_type))
}

fn ordered(order: OrderId, lines: &[(i64, u32)]) -> OrderCreated {
    let item = |&(product, quantity): &(i64, u32)| OrderedItem {
        product_id: ProductId(product),
        quantity,
        price: Money::from_minor(100).unwrap(),
        name: "Thing".to_owned(),
    };
    OrderCreated {
        order_id: order,
        customer_email: "buyer@example.com".parse().unwrap(),
        total_amount: Money::from_minor(100).unwrap(),
        items: lines.iter().map(item).collect(),
        currency: Currency::RUB,
        language: None,
        sealed_token: None,
    }
}

macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(super::Room::on_sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(room) = super::Room::on_postgres().await else { return };
                    super::$case(room).await;
                }
            )*
        }
    };
}
pub(super) use on_both_databases;
