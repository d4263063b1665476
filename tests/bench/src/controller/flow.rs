//! Orders that are placed and changed all the time, as a service does it: in transactions, under their row locks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use shop_core::Clock;
use shop_outbox::NewMessage;
use shop_testing::Dice;
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
use uuid::Uuid;

const WRITERS: u32 = 16;
/// Orders per transaction: 1 to 3. It changes as many that were placed before.
const MEAN: u32 = 2;
/// How many orders may still be changed.
const RECENT: usize = 1_000;

/// What has been committed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) orders: u64,
    pub(crate) events: u64,
}

/// Running writers.
pub(crate) struct Flow {
    writers: JoinSet<anyhow::Result<Written>>,
    stop: watch::Sender<bool>,
    began: Instant,
}

struct Writer {
    pool: PgPool,
    clock: Clock,
    dice: Dice,
    recent: Arc<Mutex<VecDeque<Uuid>>>,
    stop: watch::Receiver<bool>,
}

impl Flow {
    /// Places `orders` per second, whatever happens to their events, and changes as many.
    pub(crate) fn start(pool: &PgPool, orders: u32, seed: u64) -> Self {
        let (stop, stopping) = watch::channel(false);
        let recent = Arc::default();
        let pause = Duration::from_secs(u64::from(WRITERS * MEAN)) / orders;
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let writer = Writer {
                pool: pool.clone(),
                clock: Clock::system(),
                dice: Dice::new(seed + u64::from(number)),
                recent: Arc::clone(&recent),
                stop: stopping.clone(),
            };
            writers.spawn(writer.work(pause));
        }
        Self { writers, stop, began: Instant::now() }
    }

    /// Stops the writers; returns what they have committed, and in what time.
    pub(crate) async fn finish(mut self) -> anyhow::Result<(Written, Duration)> {
        self.stop.send_replace(true);
        let mut all = Written::default();
        while let Some(written) = self.writers.join_next().await {
            let Written { orders, events } = written??;
            all = Written { orders: all.orders + orders, events: all.events + events };
        }
        Ok((all, self.began.elapsed()))
    }
}

impl Writer {
    async fn work(mut self, pause: Duration) -> anyhow::Result<Written> {
        let mut tick = tokio::time::interval(pause);
        // Late ones are made up for.
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut all = Written::default();
        while !*self.stop.borrow() {
            tick.tick().await;
            let new: Vec<Uuid> = (0..self.some()).map(|_| self.clock.new_id()).collect();
            let old = self.pick();
            all.events += self.transact(&new, &old).await.context("a writer")?;
            all.orders += new.len() as u64;
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.extend(new);
            let surplus = recent.len().saturating_sub(RECENT);
            recent.drain(..surplus);
        }
        Ok(all)
    }

    /// How many orders in one transaction.
    fn some(&mut self) -> u64 {
        self.dice.between(1, 2 * u64::from(MEAN) - 1)
    }

    /// Some recently placed orders, by whichever writer, and none twice.
    fn pick(&mut self) -> Vec<Uuid> {
        let count = self.some();
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut picked: Vec<Uuid> =
            (0..count).filter_map(|_| recent.get(self.dice.below(RECENT as u64) as usize).copied()).collect();
        picked.sort_unstable();
        picked.dedup();
        picked
    }

    /// Places the orders `new` and changes the orders `old`; returns the number of events.
    async fn transact(&self, new: &[Uuid], old: &[Uuid]) -> anyhow::Result<u64> {
        let mut transaction = self.pool.begin().await?;
        let insert = "INSERT INTO orders (id, customer_email, total_amount, currency, status, aggregate_version, created_at)
                      SELECT id, 'buyer@example.com', 250000, 'RUB', 'pending', 1, now() FROM unnest($1::uuid[]) AS id";
        sqlx::query(insert).bind(new).execute(&mut *transaction).await?;
        // Locked in the same order by all writers.
        let lock = "SELECT id FROM orders WHERE id = ANY($1) ORDER BY id FOR UPDATE";
        sqlx::query(lock).bind(old).execute(&mut *transaction).await?;
        let change = "UPDATE orders SET aggregate_version = aggregate_version + 1 WHERE id = ANY($1)
                      RETURNING id, aggregate_version";
        let changed: Vec<(Uuid, i64)> = sqlx::query_as(change).bind(old).fetch_all(&mut *transaction).await?;
        let events = new.len() + changed.len();
        for (order, version) in new.iter().map(|id| (*id, 1)).chain(changed) {
            shop_outbox::append_sqlx(&mut transaction, &self.event(order, version)).await?;
        }
        transaction.commit().await?;
        Ok(events as u64)
    }

    fn event(&self, order: Uuid, version: i64) -> NewMessage {
        let happened = if version == 1 { "created" } else { "changed" };
        NewMessage {
            id: self.clock.new_id(),
            aggregate_type: "order".to_owned(),
            aggregate_id: order.hyphenated().to_string(),
            aggregate_version: version,
            event_type: format!("order_{happened}"),
            routing_key: format!("order.{happened}"),
            payload: format!(
                r#"{{"order_id":"{order}","version":{version},"customer_email":"buyer@example.com","total_amount":"2500.00"}}"#
            ),
            headers: Default::default(),
            created_at: self.clock.now(),
        }
    }
}
