//! The shop in realistic surroundings: `cargo xtask soak surroundings`
//!
//! Real services run on a pair of PostgreSQL servers that fail over, behind a pooler, with their own Redis and RabbitMQ and an
//! environment full of proxies. Customers order all the time, each order under its own key; faults happen one after the other.

mod fault;
mod orders;
mod pair;
mod place;
mod proxies;
mod verdict;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use shop_testing::Dice;
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

use self::{
    fault::{Kind, Planned},
    orders::{Customers, Placed},
    place::Place,
    verdict::Verdict,
};
use crate::{breaking::Deck, report};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How long to inject faults; a fault in progress is finished
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The maximum number of faults
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    faults: usize,
    /// How many customers order again and again
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=50))]
    customers: u8,
    /// Determines which faults happen, and when
    #[arg(long)]
    seed: Option<u64>,
    /// Only faults of these kinds
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
}

/// The result of a run.
struct Run {
    /// Each fault, and how long it took until everything was normal again.
    faults: Vec<(Kind, Duration)>,
    left_out: Vec<(Kind, &'static str)>,
    placed: Placed,
    verdict: Verdict,
    took: Duration,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(|| (Uuid::new_v4().as_u128() & 0xffff_ffff) as u64);
    println!("## The shop in its surroundings\n\n{}; seed {seed}.\n", report::machine()?);
    let folder = tempfile::tempdir()?;
    match soak(arguments, seed, &folder).await {
        Ok(run) if run.verdict.violations.is_empty() => {
            print(&run);
            Ok(())
        }
        outcome => {
            // For whoever wants to investigate.
            eprintln!("the services' logs: {}", folder.keep().display());
            eprintln!("again: cargo xtask soak surroundings --seed {seed}");
            let run = outcome?;
            print(&run);
            bail!("promises were broken:\n- {}", run.verdict.violations.join("\n- "));
        }
    }
}

async fn soak(arguments: &Arguments, seed: u64, folder: &TempDir) -> anyhow::Result<Run> {
    let mut dice = Dice::new(seed);
    let mut place = Place::open(&arguments.binaries, folder.path()).await?;
    let left_out = place.cannot();
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| arguments.only.is_empty() || arguments.only.contains(kind))
        .filter(|kind| left_out.iter().all(|(other, _)| other != kind))
        .collect();
    let customers = Customers::start(&place, arguments.customers, dice.below(u64::from(u32::MAX))).await?;
    place.calm().await?;
    place.restock().await?;
    customers.are_served().await?;
    let (began, length) = (Instant::now(), Duration::from_secs(60 * arguments.minutes));
    let (mut faults, mut deck) = (Vec::new(), Deck::new(kinds));
    while faults.len() < arguments.faults && began.elapsed() < length {
        let kind = deck.draw(&mut dice);
        let planned = Planned { kind, lasts: dice.millis(500, 6_000) };
        sleep(dice.millis(500, 2_500)).await;
        faults.push((kind, endure(&mut place, &customers, planned, began).await?));
    }
    let placed = customers.finish().await?;
    let took = began.elapsed();
    let verdict = verdict::reach(&mut place, &placed).await?;
    place.strike().await?;
    Ok(Run { faults, left_out, placed, verdict, took })
}

/// Makes a fault happen, and waits until the shop has recovered.
async fn endure(
    place: &mut Place,
    customers: &Customers,
    planned: Planned,
    start: Instant,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    println!("{:6.1} s  {}", (began - start).as_secs_f64(), planned.kind.name());
    place.suffer(planned).await?;
    place.calm().await?;
    customers.are_served().await?;
    println!("{:6.1} s  back to normal", start.elapsed().as_secs_f64());
    Ok(began.elapsed())
}

fn print(run: &Run) {
    println!("\n| fault | times | longest recovery, s |\n|---|--:|--:|");
    for kind in Kind::ALL {
        let took: Vec<Duration> =
            run.faults.iter().filter(|(other, _)| *other == kind).map(|(_, took)| *took).collect();
        if let Some(longest) = took.iter().max() {
            println!("| {} | {} | {:.1} |", kind.name(), took.len(), longest.as_secs_f64());
        }
    }
    for (kind, why) in &run.left_out {
        println!("| {} | left out: {why} | |", kind.name());
    }
    let Placed { acknowledged, answers, repeated, .. } = &run.placed;
    let answers: Vec<String> = answers.iter().map(|(answer, times)| format!("{answer}: {times}")).collect();
    println!(
        "\n{} orders in {:.0} s, {repeated} requested again under their keys; {} events, {} of them delivered more than once. \
         Responses: {}.\n",
        acknowledged.len(),
        run.took.as_secs_f64(),
        run.verdict.events,
        run.verdict.redelivered,
        answers.join(", "),
    );
    if run.verdict.violations.is_empty() {
        println!("Every 201 has its row and its event, nothing exists twice, and no proxy was used.\n");
    }
}
