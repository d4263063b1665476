//! An order's life while everything that it needs fails: `cargo xtask soak saga`
//!
//! The whole shop runs on its own PostgreSQL, Redis and RabbitMQ. Shoppers order at a given rate, a postman delivers events twice, and faults
//! happen one after the other. At the end everything works again, and the books must agree.

mod books;
mod fault;
pub(crate) mod latency;
mod place;
mod postman;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Args;
use shop_load::shoppers::{self, Shoppers, Summary};
use shop_testing::Dice;
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use self::{
    books::Found,
    fault::{Kind, Planned},
    place::{Place, admin},
    postman::Postman,
};
use crate::{breaking::Deck, report};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How many shoppers order
    #[arg(long, default_value_t = 10_000)]
    orders: u64,
    /// How many of them come in per second
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// The maximum number of faults
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    faults: usize,
    /// The longest pause between two faults, in seconds; while one follows another closely, most orders run into their time-out
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    pause_seconds: u64,
    /// Determines which faults happen, and when, and what shoppers intend
    #[arg(long)]
    seed: Option<u64>,
    /// Only faults of these kinds
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
}

/// The result of a run.
struct Run {
    /// Each fault, and how long it took until everything was ready again.
    faults: Vec<(Kind, Duration)>,
    shoppers: Summary,
    /// How many events were delivered once more.
    repeated: u64,
    found: Found,
    took: Duration,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(|| (Uuid::new_v4().as_u128() & 0xffff_ffff) as u64);
    println!("## An order's life under faults\n\n{}; seed {seed}.\n", report::machine()?);
    let folder = tempfile::tempdir()?;
    match soak(arguments, seed, &folder).await {
        Ok(run) if run.found.violations.is_empty() => {
            print(&run);
            Ok(())
        }
        outcome => {
            // For whoever wants to investigate.
            eprintln!("the services' logs: {}", folder.keep().display());
            eprintln!("again: cargo xtask soak saga --orders {} --seed {seed}", arguments.orders);
            let run = outcome?;
            print(&run);
            bail!("promises were broken:\n- {}", run.found.violations.join("\n- "));
        }
    }
}

async fn soak(arguments: &Arguments, seed: u64, folder: &TempDir) -> anyhow::Result<Run> {
    let mut dice = Dice::new(seed);
    let place = Place::open(&arguments.binaries, folder.path()).await?;
    let postman = Postman::start(&place.rabbitmq.url, dice.below(u64::from(u32::MAX)));
    let shoppers = Shoppers::new(habits(arguments, &place, dice.below(u64::from(u32::MAX)))?);
    let mut visits = JoinSet::new();
    visits.spawn({
        let shoppers = shoppers.clone();
        async move { shoppers.run(std::future::pending()).await }
    });
    let began = Instant::now();
    let faults = inject(arguments, &place, &mut dice, &mut visits, began).await?;
    while let Some(visited) = visits.join_next().await {
        visited??;
    }
    let (took, repeated) = (began.elapsed(), postman.delivered());
    drop(postman);
    place.calm().await?;
    let found = books::audit(&place, &shoppers.orders()).await?;
    place.strike().await?;
    Ok(Run { faults, shoppers: shoppers.summary(), repeated, found, took })
}

/// Makes one fault happen after the other, as long as there are shoppers.
async fn inject(
    arguments: &Arguments,
    place: &Place,
    dice: &mut Dice,
    visits: &mut JoinSet<anyhow::Result<()>>,
    began: Instant,
) -> anyhow::Result<Vec<(Kind, Duration)>> {
    let wanted = |kind: &Kind| arguments.only.is_empty() || arguments.only.contains(kind);
    let mut deck = Deck::new(Kind::ALL.into_iter().filter(wanted).collect());
    let mut faults = Vec::new();
    while faults.len() < arguments.faults {
        sleep(dice.millis(500, arguments.pause_seconds * 1000)).await;
        if let Some(visited) = visits.try_join_next() {
            visited??;
            break;
        }
        let planned = Planned { kind: deck.draw(dice), lasts: dice.millis(500, 8_000) };
        println!("{:6.1} s  {}", began.elapsed().as_secs_f64(), planned.kind.name());
        let happened = Instant::now();
        place.suffer(planned).await?;
        place.calm().await?;
        faults.push((planned.kind, happened.elapsed()));
    }
    Ok(faults)
}

/// The shoppers of this run: as patient as the faults are long, and the shelves are refilled.
fn habits(arguments: &Arguments, place: &Place, seed: u64) -> anyhow::Result<shoppers::Arguments> {
    Ok(shoppers::Arguments {
        rate: arguments.rate,
        orders: Some(arguments.orders),
        seconds: None,
        concurrency: 1000,
        guests: 30,
        cancels: 15,
        accounts: 8,
        restock: 12,
        patience_seconds: 120,
        look_seconds: 60,
        seed: Some(seed),
        shop: place.addresses.clone(),
        admin: admin()?,
    })
}

fn print(run: &Run) {
    println!("\n| fault | times | longest until all were ready, s |\n|---|--:|--:|");
    for kind in Kind::ALL {
        let took: Vec<Duration> =
            run.faults.iter().filter(|(other, _)| *other == kind).map(|(_, took)| *took).collect();
        if let Some(longest) = took.iter().max() {
            println!("| {} | {} | {:.1} |", kind.name(), took.len(), longest.as_secs_f64());
        }
    }
    println!("\n```\n{}\n```\n", shop_load::show::whole(&run.shoppers));
    println!("{} events were delivered once more, in {:.0} s.\n", run.repeated, run.took.as_secs_f64());
    println!("{}\n", run.found.verdict);
}
