//! `cargo xtask soak`

use anyhow::bail;
use clap::{Args, Subcommand};
use shop_testing::servers::{Durability, Kind};

use crate::{backends, shell};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Hold the outbox's publisher against its model, one seed after the other
    Outbox(Outbox),
}

#[derive(Args)]
struct Outbox {
    /// How long; what has begun by then is finished
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The first seed; any, when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Stay with that seed: it repeats what is done, and not what comes before what
    #[arg(long, requires = "seed")]
    same: bool,
}

/// Runs the model's test for long. `cargo test`, because cargo-nextest would end it in its second minute.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let What::Outbox(Outbox { minutes, seed, same }) = &arguments.what;
    let starting = backends::start(&[Kind::Postgres, Kind::RabbitMq], Durability::Fast);
    let test = ["test", "--locked", "--package", "shop-outbox", "--test", "it"];
    let build: Vec<&str> = test.into_iter().chain(["--no-run"]).collect();
    shell::run(shell::cargo(&build))?;
    let backends = starting.wait();
    if !backends.missing.is_empty() {
        bail!("{}", backends.missing.join("\n"));
    }
    let run: Vec<&str> = test.into_iter().chain(["model::soak", "--", "--nocapture"]).collect();
    let mut command = shell::cargo(&run);
    command.envs(backends.environment.iter().map(|(name, value)| (*name, value)));
    command.env("OUTBOX_MODEL_MINUTES", minutes.to_string());
    if let Some(seed) = seed {
        command.env("OUTBOX_MODEL_SEED", seed.to_string());
    }
    if *same {
        command.env("OUTBOX_MODEL_SAME", "1");
    }
    shell::run(command)
}
