//! The latency from commit to consumer, compared with publishing without an outbox.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tokio::{task::JoinSet, time::MissedTickBehavior};
use uuid::Uuid;

use shop_outbox::NewMessage;

use super::{
    broker::{Arrivals, Raw, expect_ack, payload},
    place::Place,
    sizes::Sizes,
};
use crate::report::{self, Side, median, verdict};

/// Orders per second.
const RATE: u32 = 200;
/// Longer than a publisher lingers before it sleeps.
const PAUSE: Duration = Duration::from_millis(1_100);

const MEDIAN_TARGET_MS: f64 = 1.0;
const TAIL_TARGET_MS: f64 = 5.0;
const IDLE_TARGET_MS: f64 = 5.0;

/// Who publishes an event.
#[derive(Clone, Copy)]
enum Way {
    /// The publisher, from the outbox: measured from the commit.
    Outbox,
    /// The writer, after its commit: measured from the commit. The event is lost if the writer crashes in between.
    AfterCommit,
    /// The writer, without a database: measured from the publish.
    Publish,
}

/// Places orders.
#[derive(Clone)]
struct Writer {
    pool: PgPool,
    raw: Raw,
    payload: String,
}

pub(crate) async fn measure(place: &mut Place, sizes: &Sizes) -> anyhow::Result<()> {
    place.empty().await?;
    place.start_warm_publisher().await?;
    let writer = Writer { pool: place.pool.clone(), raw: place.broker.raw().await?, payload: payload() };
    let mut arrivals = place.broker.arrivals().await?;
    let mut sides = [
        (Way::Publish, Side::named("publish → consumer, without a database")),
        (Way::AfterCommit, Side::named("commit → consumer, published by the writer after its commit")),
        (Way::Outbox, Side::named("commit → consumer, through the outbox")),
    ];
    for (way, _) in &sides {
        steady(&writer, *way, Duration::from_secs(1), &mut arrivals).await?;
    }
    for _ in 0..sizes.rounds {
        for (way, side) in &mut sides {
            side.push_latencies(steady(&writer, *way, sizes.slice, &mut arrivals).await?);
        }
    }
    let mut idle = Side::named("commit → consumer, through the outbox, one order per second");
    idle.push_latencies(from_idle(&writer, sizes.single_commits, &mut arrivals).await?);
    place.stop_publisher().await?;

    let [(_, publish), (_, after), (_, outbox)] = &sides;
    println!("### Latency\n\n{RATE} orders per second; in the last line the publisher sleeps before each.\n");
    report::print_latencies(&[publish, after, outbox, &idle]);
    let middle = (median(&outbox.median_latencies) - median(&after.median_latencies)) / 1e3;
    let tail = (median(&outbox.tail_latencies) - median(&after.tail_latencies)) / 1e3;
    println!(
        "The outbox adds **{middle:.1} ms** at the median and **{tail:.1} ms** at the 99th percentile to what the writer \
         itself needs after its commit; the targets of {MEDIAN_TARGET_MS} ms and {TAIL_TARGET_MS} ms are {} and {}. From \
         idle, the target of {IDLE_TARGET_MS} ms at the median is {}.\n",
        verdict(middle <= MEDIAN_TARGET_MS),
        verdict(tail <= TAIL_TARGET_MS),
        verdict(median(&idle.median_latencies) / 1e3 < IDLE_TARGET_MS),
    );
    Ok(())
}

/// Places an order every five milliseconds, whether or not earlier ones are done.
async fn steady(
    writer: &Writer,
    way: Way,
    time: Duration,
    arrivals: &mut Arrivals,
) -> anyhow::Result<Vec<Duration>> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = (time.as_secs_f64() * f64::from(RATE)) as usize;
    let mut orders = JoinSet::new();
    for _ in 0..count {
        tick.tick().await;
        let writer = writer.clone();
        orders.spawn(async move { writer.place_order(way).await });
    }
    let mut begun = HashMap::with_capacity(count);
    while let Some(order) = orders.join_next().await {
        let (id, at) = order??;
        begun.insert(id, at);
    }
    let mut latencies = Vec::with_capacity(count);
    while !begun.is_empty() {
        let (id, arrived) = arrivals.next().await?;
        // For a duplicate, the first arrival counts.
        latencies.extend(begun.remove(&id).map(|at| arrived.saturating_duration_since(at)));
    }
    Ok(latencies)
}

/// Places single orders, each after the publisher has slept for a while.
async fn from_idle(writer: &Writer, count: u32, arrivals: &mut Arrivals) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(PAUSE).await;
        let (id, at) = writer.place_order(Way::Outbox).await?;
        let mut next = arrivals.next().await?;
        while next.0 != id {
            next = arrivals.next().await?;
        }
        latencies.push(next.1.saturating_duration_since(at));
    }
    Ok(latencies)
}

impl Writer {
    /// Places one; returns its event's id, and the time from which it is measured.
    async fn place_order(&self, way: Way) -> anyhow::Result<(Uuid, Instant)> {
        let id = Uuid::new_v4();
        let at = match way {
            Way::Publish => Instant::now(),
            Way::AfterCommit | Way::Outbox => self.commit(id, matches!(way, Way::Outbox)).await?,
        };
        if !matches!(way, Way::Outbox) {
            expect_ack(&self.raw.send(id).await?.await?)?;
        }
        Ok((id, at))
    }

    /// Commits an order of two lines; returns when that was done.
    async fn commit(&self, id: Uuid, append: bool) -> anyhow::Result<Instant> {
        let mut transaction = self.pool.begin().await?;
        let order = "INSERT INTO orders (id, customer_email, total_amount, currency, status, aggregate_version, created_at)
            VALUES ($1, 'buyer@example.com', 250000, 'RUB', 'pending', 1, now())";
        sqlx::query(order).bind(id).execute(&mut *transaction).await?;
        let lines = "INSERT INTO order_items (order_id, position, product_id, name, quantity, price)
            VALUES ($1, 0, 1, 'The first product', 2, 50000), ($1, 1, 2, 'The second product', 1, 150000)";
        sqlx::query(lines).bind(id).execute(&mut *transaction).await?;
        if append {
            shop_outbox::append_sqlx(&mut transaction, &self.event(id)).await?;
        }
        transaction.commit().await?;
        Ok(Instant::now())
    }

    fn event(&self, id: Uuid) -> NewMessage {
        NewMessage {
            id,
            aggregate_type: "order".to_owned(),
            aggregate_id: id.hyphenated().to_string(),
            aggregate_version: 1,
            event_type: "order_created".to_owned(),
            routing_key: "order.created".to_owned(),
            payload: self.payload.clone(),
            headers: Default::default(),
            created_at: chrono::DateTime::UNIX_EPOCH,
        }
    }
}
