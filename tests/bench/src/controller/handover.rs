//! `cargo xtask bench handover`

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use sqlx::PgPool;
use tokio::time::sleep;

use super::{
    flow::Flow,
    idle, longest_gap,
    place::{Place, Timing, leads},
    until,
};
use crate::{
    process::Process,
    report::{self, median, verdict},
};

const NAMES: [&str; 2] = ["first", "second"];
/// How long the measurement without a fault takes.
const CALM: Duration = Duration::from_secs(20);
/// How long orders flow before and after a fault, so that a new follower is warm, and its predecessor's backlog is gone.
const AROUND: Duration = Duration::from_secs(4);
/// How long it may take, in addition to a Lease, until another replica leads.
const PATIENCE: Duration = Duration::from_secs(30);

const PLANNED_TARGET: Duration = Duration::from_secs(1);
/// In addition to the Lease.
const CRASH_TARGET: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the services' release binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How many hand-overs of each kind to measure
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How many orders to place per second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=5_000))]
    orders: u32,
    /// How long a Lease lasts without renewal
    #[arg(long, default_value_t = 15)]
    lease_seconds: u16,
    /// How long a leader that cannot renew its Lease keeps publishing
    #[arg(long, default_value_t = 10)]
    renew_deadline_seconds: u16,
    /// How often a leader renews its Lease
    #[arg(long, default_value_t = 2)]
    retry_period_seconds: u16,
    /// How long to watch idle controllers; 0: not at all
    #[arg(long, default_value_t = 5)]
    idle_minutes: u32,
}

/// How the leader ends.
#[derive(Clone, Copy)]
enum End {
    Planned,
    Crash,
}

/// The longest times without publishing, one value per round.
#[derive(Default)]
struct Gaps {
    arrivals: Vec<Duration>,
    marks: Vec<Duration>,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let timing = Timing {
        lease: arguments.lease_seconds,
        renew_deadline: arguments.renew_deadline_seconds,
        retry_period: arguments.retry_period_seconds,
    };
    let folder = tempfile::tempdir()?;
    let place = Place::open(&arguments.binaries, folder.path(), timing).await?;
    let postgres = report::durable_postgres(&mut *place.pool.acquire().await?, &arguments.binaries).await?;
    let Arguments { orders, lease_seconds, renew_deadline_seconds, retry_period_seconds, .. } = arguments;
    println!(
        "## Hand-over\n\n{postgres}; {machine}.\n{orders} orders a second; Leases of {lease_seconds} s, renewed within \
         {renew_deadline_seconds} s, every {retry_period_seconds} s.\n"
    );
    let (database_url, broker_url) = (place.database.url.clone(), place.rabbitmq.url.clone());
    place.describe(&database_url, &broker_url).await;
    let mut pair = Pair::start(place, timing).await?;
    let flow = Flow::start(&pair.place.pool, *orders, 0);
    pair.settle().await?;

    let mut calm = Gaps::default();
    for _ in 0..arguments.rounds {
        let moment = pair.moment().await?;
        sleep(CALM).await;
        pair.measure(&moment, &mut calm).await?;
    }
    let mut planned = Gaps::default();
    for _ in 0..arguments.rounds {
        pair.round(End::Planned, &mut planned).await?;
    }
    let mut crash = Gaps::default();
    for _ in 0..arguments.rounds {
        pair.round(End::Crash, &mut crash).await?;
    }
    let (written, _) = flow.finish().await?;
    print(&calm, &planned, &crash, timing);
    println!("{} orders with {} events.\n", written.orders, written.events);

    if arguments.idle_minutes > 0 {
        let [leader, follower] = pair.in_order().await?;
        idle::measure(&pair.place.cluster, leader, follower, arguments.idle_minutes).await?;
    }
    pair.strike().await
}

/// Two controllers.
struct Pair {
    place: Place,
    timing: Timing,
    processes: [Option<Process>; 2],
    /// The arrival times of messages since the last measurement.
    arrivals: Vec<Instant>,
}

/// A moment, by our clock and by the database's.
struct Moment {
    here: Instant,
    database: chrono::DateTime<chrono::Utc>,
}

impl Pair {
    async fn start(place: Place, timing: Timing) -> anyhow::Result<Self> {
        let [first, second] = NAMES.map(|name| place.controller(name, &place.cluster.kubeconfig));
        let processes = [Some(first.await?), Some(second.await?)];
        Ok(Self { place, timing, processes, arrivals: Vec::new() })
    }

    async fn moment(&self) -> anyhow::Result<Moment> {
        let database = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.place.pool).await?;
        Ok(Moment { here: Instant::now(), database })
    }

    /// The number of the leader.
    async fn leader(&self) -> Option<usize> {
        for (number, process) in self.processes.iter().enumerate() {
            if let Some(process) = process
                && leads(process).await
            {
                return Some(number);
            }
        }
        None
    }

    /// Waits until one leads, nothing is waiting, and the other is warm.
    async fn settle(&self) -> anyhow::Result<()> {
        let patience = PATIENCE + self.timing.lease();
        until("the rows are published by a leader", patience, async || {
            let lag = self.place.lag().await;
            self.leader().await.is_some() && lag.is_ok_and(|lag| lag < Duration::from_millis(500))
        })
        .await?;
        sleep(AROUND).await;
        Ok(())
    }

    /// Ends the leader, measures how long the effect lasted, and starts a replacement.
    async fn round(&mut self, end: End, gaps: &mut Gaps) -> anyhow::Result<()> {
        self.settle().await?;
        let leader = self.leader().await.context("nobody leads")?;
        let process = self.processes[leader].take().context("it leads")?;
        let moment = self.moment().await?;
        match end {
            End::Planned => process.stop().await?,
            End::Crash => process.kill()?,
        }
        self.settle().await?;
        self.measure(&moment, gaps).await?;
        let replacement = self.place.controller(NAMES[leader], &self.place.cluster.kubeconfig).await?;
        self.processes[leader] = Some(replacement);
        Ok(())
    }

    /// Adds the longest gaps since `began`.
    async fn measure(&mut self, began: &Moment, gaps: &mut Gaps) -> anyhow::Result<()> {
        self.arrivals.extend(self.place.arrivals.so_far().into_iter().map(|(_, at)| at));
        gaps.arrivals.push(longest_gap(&self.arrivals, began.here, Instant::now()));
        gaps.marks.push(longest_gap_of_marks(&self.place.pool, began.database).await?);
        // The next gap begins at the last one.
        self.arrivals.drain(..self.arrivals.len().saturating_sub(1));
        Ok(())
    }

    /// The leader and the follower.
    async fn in_order(&self) -> anyhow::Result<[&Process; 2]> {
        let leader = self.leader().await.context("nobody leads")?;
        let process = |number: usize| self.processes[number].as_ref().context("it has ended");
        Ok([process(leader)?, process(1 - leader)?])
    }

    async fn strike(self) -> anyhow::Result<()> {
        for process in self.processes.into_iter().flatten() {
            process.stop().await?;
        }
        Ok(())
    }
}

/// The longest time between two rows being marked as sent, among those that end after `began`.
async fn longest_gap_of_marks(
    pool: &PgPool,
    began: chrono::DateTime<chrono::Utc>,
) -> anyhow::Result<Duration> {
    let longest = "SELECT coalesce(extract(epoch FROM max(gap)), 0)::float8 FROM (
                       SELECT sent_at, sent_at - lag(sent_at) OVER (ORDER BY sent_at) AS gap FROM outbox_messages
                       WHERE sent_at > $1 - interval '5 seconds') AS gaps WHERE sent_at > $1";
    let seconds: f64 = sqlx::query_scalar(longest).bind(began).fetch_one(pool).await?;
    Ok(Duration::from_secs_f64(seconds))
}

fn print(calm: &Gaps, planned: &Gaps, crash: &Gaps, timing: Timing) {
    println!(
        "| longest time without publishing | median, s | maximum, s | between marks: median, s | maximum, s |"
    );
    println!("|---|--:|--:|--:|--:|");
    let rows =
        [("without a fault", calm), ("a planned hand-over (SIGTERM)", planned), ("a crash (SIGKILL)", crash)];
    for (name, Gaps { arrivals, marks }) in rows {
        let seconds = |gaps: &[Duration]| gaps.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        let longest = |gaps: &[Duration]| gaps.iter().max().copied().unwrap_or_default().as_secs_f64();
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} |",
            median(&seconds(arrivals)),
            longest(arrivals),
            median(&seconds(marks)),
            longest(marks)
        );
    }
    let reached =
        |gaps: &Gaps, target| verdict(gaps.arrivals.iter().chain(&gaps.marks).all(|gap| *gap < target));
    println!(
        "\nIn all of {} rounds: the target of less than {} s for a planned hand-over is {}, that of less than {} s, the Lease and {} s, \
         for a crash is {}.",
        planned.arrivals.len(),
        PLANNED_TARGET.as_secs(),
        reached(planned, PLANNED_TARGET),
        (timing.lease() + CRASH_TARGET).as_secs(),
        CRASH_TARGET.as_secs(),
        reached(crash, timing.lease() + CRASH_TARGET),
    );
}
