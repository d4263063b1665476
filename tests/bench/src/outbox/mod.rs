//! `cargo xtask bench outbox`

pub(crate) mod broker;
mod drain;
mod latency;
pub(crate) mod place;
mod sizes;
mod tax;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use sqlx::{Connection as _, PgConnection};

use self::{place::Place, sizes::Sizes};
use crate::report;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the services' release binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How often to measure each side, in turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// How many rows were sent long ago
    #[arg(long, default_value_t = 10_000_000)]
    sent_rows: u32,
    /// How many rows wait while memory is measured
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    backlog: u32,
    /// Use small sizes and few rounds, two minutes in all, to see that it works
    #[arg(long)]
    quick: bool,
    /// Run one part only
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A backlog compared with raw publishing
    Drain,
    /// From commit to consumer
    Latency,
    /// What writers pay
    Tax,
    /// A backlog behind many sent rows
    History,
    /// The publisher's memory
    Memory,
}

impl From<&Arguments> for Sizes {
    fn from(arguments: &Arguments) -> Self {
        let Arguments { rounds, sent_rows, backlog, quick, .. } = *arguments;
        if quick {
            return Self {
                rounds: rounds.min(2),
                rows: 10_000,
                slice: Duration::from_secs(2),
                single_commits: 5,
                sent_rows: sent_rows.min(200_000),
                backlog: backlog.min(30_000),
            };
        }
        Self { rounds, rows: 50_000, slice: Duration::from_secs(5), single_commits: 30, sent_rows, backlog }
    }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let sizes = Sizes::from(arguments);
    let folder = tempfile::tempdir()?;
    let rabbitmq = shop_testing::rabbitmq().await.context("run `cargo xtask bench outbox`")?;
    let open = |exchange| Place::open(&arguments.binaries, folder.path(), &rabbitmq, exchange);
    let mut place = open("bench").await?;
    let mut database = PgConnection::connect(&place.database.url).await?;
    let postgres = report::durable_postgres(&mut database, &arguments.binaries).await?;
    println!("## Outbox\n\n{postgres}; {machine}.\n");

    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    if wanted(Part::Drain) {
        drain::beside_raw(&mut place, &sizes).await?;
    }
    if wanted(Part::Latency) {
        latency::measure(&mut place, &sizes).await?;
    }
    if wanted(Part::Tax) {
        tax::measure(&mut place, &sizes).await?;
    }
    if wanted(Part::History) {
        let mut full = open("bench-history").await?;
        drain::behind_history(&mut place, &mut full, &sizes).await?;
    }
    if wanted(Part::Memory) {
        drain::memory(&mut place, &sizes).await?;
    }
    Ok(())
}
