//! `cargo xtask bench`

use anyhow::bail;
use clap::{Args, Subcommand};
use shop_testing::servers::{Durability, Kind};

use crate::{backends, shell};

/// Built in one go, so that they agree on the features of what they share.
const PACKAGES: [&str; 7] = ["auth", "bench", "catalog", "order", "outbox-controller", "telegram", "web"];

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    kind: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Compare the list of products with a bare handler, and orders with pgbench; show the memory of idle services
    Http(Rounds),
}

#[derive(Args)]
struct Rounds {
    /// How often each side is measured, in turns
    #[arg(long, default_value = "5")]
    rounds: String,
    /// How long one side is measured in a round
    #[arg(long, default_value = "5")]
    seconds: String,
}

/// Builds what is measured for release, and measures it on real backends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Measurement::Http(Rounds { rounds, seconds }) = &arguments.kind;
    let starting = backends::start(&[Kind::Postgres, Kind::Redis, Kind::RabbitMq], Durability::Durable);
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    let build: Vec<&str> = ["build", "--release", "--locked"].into_iter().chain(packages).collect();
    shell::run(shell::cargo(&build))?;
    let backends = starting.wait();
    if !backends.missing.is_empty() {
        bail!("{}", backends.missing.join("\n"));
    }
    let binaries = shell::target().join("release");
    let mut command = shop_testing::servers::ending_with_us(&binaries.join("bench"), "TERM");
    command.args(["http", "--rounds", rounds, "--seconds", seconds]);
    command.envs(backends.environment.iter().map(|(name, value)| (*name, value)));
    command.env("SHOP_TEST_BIN_DIR", binaries);
    shell::run(command)
}
