//! `cargo xtask soak controller`

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use clap::Args;
use shop_testing::Dice;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    check::{Event, Verdict, Window, check},
    fault::{self, Kind, Planned, Stage},
    flow::{Flow, Written},
    place::{Place, Timing},
    until,
};
use crate::report;

const REPLICAS: [&str; 3] = ["first", "second", "third"];
/// The object's default: the most that a fault may repeat.
const BATCH_SIZE: usize = 400;
/// The run also ends with a time without faults.
const AFTERWARDS: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How many faults to inject
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    faults: u16,
    /// How many orders to place per second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    orders: u32,
    /// Determines which faults happen, and when
    #[arg(long)]
    seed: Option<u64>,
    /// How long a Lease lasts without renewal
    #[arg(long, default_value_t = 4)]
    lease_seconds: u16,
    /// How long a leader that cannot renew its Lease keeps publishing
    #[arg(long, default_value_t = 3)]
    renew_deadline_seconds: u16,
    /// How often a leader renews its Lease
    #[arg(long, default_value_t = 1)]
    retry_period_seconds: u16,
}

/// A fault that happened.
struct Fault {
    kind: Kind,
    lasted: Duration,
    window: Window,
}

/// The result of a run.
struct Run {
    faults: Vec<Fault>,
    written: Written,
    took: Duration,
    verdict: Verdict,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let seed = arguments.seed.unwrap_or_else(|| (Uuid::new_v4().as_u128() & 0xffff_ffff) as u64);
    let Arguments { orders, lease_seconds, renew_deadline_seconds, retry_period_seconds, .. } = arguments;
    println!("## The controller among faults\n");
    println!(
        "{machine}. {orders} orders a second, {} controllers, Leases of {lease_seconds} s (renewed within \
         {renew_deadline_seconds} s, every {retry_period_seconds} s); seed {seed}.\n",
        REPLICAS.len()
    );
    let folder = tempfile::tempdir()?;
    match soak(arguments, seed, &folder).await {
        Ok(run) if run.verdict.violations.is_empty() => {
            print(&run);
            Ok(())
        }
        outcome => {
            // For whoever wants to investigate.
            let logs = folder.keep();
            eprintln!("the controllers' logs: {}", logs.display());
            eprintln!("again: cargo xtask soak controller --seed {seed}");
            let run = outcome?;
            print(&run);
            bail!("promises were broken:\n- {}", run.verdict.violations.join("\n- "));
        }
    }
}

async fn soak(arguments: &Arguments, seed: u64, folder: &TempDir) -> anyhow::Result<Run> {
    let timing = Timing {
        lease: arguments.lease_seconds,
        renew_deadline: arguments.renew_deadline_seconds,
        retry_period: arguments.retry_period_seconds,
    };
    let mut dice = Dice::new(seed);
    let plan = fault::plan(arguments.faults.into(), &mut dice);
    let mut place = Place::open(&arguments.binaries, folder.path(), timing).await?;
    let mut stage = Stage::set(&place, &REPLICAS, timing.lease()).await?;
    let flow = Flow::start(&place.pool, arguments.orders, dice.below(u64::from(u32::MAX)));
    stage.calm().await?;
    let began = Instant::now();
    let mut faults = Vec::new();
    for planned in plan {
        sleep(planned.pause).await;
        faults.push(endure(&mut stage, planned, began).await?);
    }
    sleep(AFTERWARDS).await;
    let (written, took) = flow.finish().await?;
    until("the rest is published", Duration::from_secs(60), async || {
        place.lag().await.is_ok_and(|lag| lag.is_zero())
    })
    .await?;
    stage.strike().await?;

    let events = committed(&place.pool).await?;
    ensure!(events.len() as u64 == written.events, "{} rows, {} committed", events.len(), written.events);
    let mut arrivals = Vec::new();
    until("the consumer has nothing to do", Duration::from_secs(60), async || {
        let more = place.arrivals.so_far();
        let is_all = more.is_empty() && arrivals.len() >= events.len();
        arrivals.extend(more);
        is_all
    })
    .await
    // Losses are reported below.
    .or_else(|_| if arrivals.is_empty() { bail!("nothing arrived") } else { Ok(()) })?;
    let windows: Vec<Window> = faults.iter().map(|fault| fault.window).collect();
    let verdict = check(&events, &arrivals, &windows, BATCH_SIZE);
    Ok(Run { faults, written, took, verdict })
}

/// Makes a fault happen, and waits until it is overcome.
async fn endure(stage: &mut Stage<'_>, planned: Planned, start: Instant) -> anyhow::Result<Fault> {
    let (kind, name) = (planned.kind, planned.kind.name());
    let began = Instant::now();
    println!("{:6.1} s  {name}", (began - start).as_secs_f64());
    let lasted = stage.suffer(planned).await?;
    stage.calm().await?;
    let calm = Instant::now();
    println!("{:6.1} s  back to normal", (calm - start).as_secs_f64());
    Ok(Fault { kind, lasted, window: Window { name, began, calm } })
}

/// Reads all rows; each must be sent.
async fn committed(pool: &PgPool) -> anyhow::Result<Vec<Event>> {
    let unsent: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages WHERE status <> 'sent'")
        .fetch_one(pool)
        .await?;
    ensure!(unsent == 0, "{unsent} rows are not sent");
    let rows: Vec<(Uuid, Uuid, i64)> =
        sqlx::query_as("SELECT message_id, aggregate_id::uuid, aggregate_version FROM outbox_messages")
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|(id, aggregate, version)| Event { id, aggregate, version }).collect())
}

fn print(run: &Run) {
    let Run { faults, written, took, verdict } = run;
    println!(
        "\n| fault of the leader | times | longest gap, s | the fault lasted, s | duplicates |\n|---|--:|--:|--:|--:|"
    );
    for kind in Kind::ALL {
        let effects = faults.iter().zip(&verdict.effects).filter(|(fault, _)| fault.kind == kind);
        let Some((fault, worst)) = effects.clone().max_by_key(|(_, effect)| effect.gap) else { continue };
        println!(
            "| {} | {} | {:.1} | {:.1} | {} |",
            kind.name(),
            effects.clone().count(),
            worst.gap.as_secs_f64(),
            fault.lasted.as_secs_f64(),
            effects.map(|(_, effect)| effect.duplicates).sum::<usize>(),
        );
    }
    let duplicates: usize = verdict.effects.iter().map(|effect| effect.duplicates).sum();
    println!(
        "\n{} orders with {} events in {:.0} s ({:.0} and {:.0} per second), {} faults, {duplicates} duplicates. Without a \
         fault, the longest gap was {:.2} s.\n",
        written.orders,
        written.events,
        took.as_secs_f64(),
        written.orders as f64 / took.as_secs_f64(),
        written.events as f64 / took.as_secs_f64(),
        faults.len(),
        verdict.calm_gap.as_secs_f64(),
    );
    if verdict.violations.is_empty() {
        println!(
            "Nothing was lost, each order's events arrived in order, and each fault repeated at most one batch of {BATCH_SIZE}.\n"
        );
    }
}
