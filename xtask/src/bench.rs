//! `cargo xtask bench`

use anyhow::bail;
use clap::{Args, Subcommand};
use shop_testing::servers::{Durability, Kind};

use crate::{backends, shell};

/// What is measured, and what measures it. Always built together: another selection would give shared dependencies other features, and
/// would build most of them anew.
const PACKAGES: [&str; 9] =
    ["auth", "bench", "catalog", "notification", "order", "outbox-controller", "payment", "telegram", "web"];
/// In Cargo.toml.
const PROFILE: &str = "benchmark";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Compare the product list with a bare handler, and orders with pgbench; show the memory of idle services
    Http(Http),
    /// Compare the outbox with publishing without one: backlogs, latency, what writers pay, memory
    Outbox(Outbox),
    /// Compare placing orders with a quick, a slow and an absent payment provider; measure how soon orders are confirmed
    Saga(Saga),
    /// Measure how long nothing is published when the controller's leader ends or crashes, and what idle controllers cost
    Handover(Handover),
}

#[derive(Args)]
struct Http {
    /// How often to measure each side, in turns
    #[arg(long, default_value = "5")]
    rounds: String,
    /// How long to measure each side in a round
    #[arg(long, default_value = "5")]
    seconds: String,
}

#[derive(Args)]
struct Outbox {
    /// How often to measure each side, in turns
    #[arg(long, default_value = "5")]
    rounds: String,
    /// How many rows were sent long ago
    #[arg(long, default_value = "10000000")]
    sent_rows: String,
    /// How many rows wait while memory is measured
    #[arg(long, default_value = "1000000")]
    backlog: String,
    /// Use small sizes and few rounds, about two minutes in all, to see that it works
    #[arg(long)]
    quick: bool,
    /// Run one part only: drain, latency, tax, history or memory
    #[arg(long)]
    only: Option<String>,
}

#[derive(Args)]
struct Saga {
    /// How often to measure each provider, in turns
    #[arg(long, default_value = "3")]
    rounds: String,
    /// How long to measure each in a round
    #[arg(long, default_value = "20")]
    seconds: String,
    /// How many orders to place per second
    #[arg(long, default_value = "50")]
    rate: String,
}

#[derive(Args)]
struct Handover {
    /// How many hand-overs of each kind
    #[arg(long, default_value = "5")]
    rounds: String,
    /// How many orders to place per second
    #[arg(long, default_value = "200")]
    orders: String,
    /// How long a Lease lasts without renewal
    #[arg(long, default_value = "15")]
    lease_seconds: String,
    /// How long a leader that cannot renew its Lease keeps publishing
    #[arg(long, default_value = "10")]
    renew_deadline_seconds: String,
    /// How often a leader renews its Lease
    #[arg(long, default_value = "2")]
    retry_period_seconds: String,
    /// How long to watch idle controllers; 0: not at all
    #[arg(long, default_value = "5")]
    idle_minutes: String,
}

impl Measurement {
    fn backends(&self) -> &'static [Kind] {
        match self {
            Self::Http(_) | Self::Saga(_) => &[Kind::Postgres, Kind::Redis, Kind::RabbitMq],
            Self::Outbox(_) | Self::Handover(_) => &[Kind::Postgres, Kind::RabbitMq],
        }
    }

    /// For the binary `bench`.
    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Http(Http { rounds, seconds }) => vec!["http", "--rounds", rounds, "--seconds", seconds],
            Self::Saga(Saga { rounds, seconds, rate }) => {
                vec!["saga", "--rounds", rounds, "--seconds", seconds, "--rate", rate]
            }
            Self::Outbox(Outbox { rounds, sent_rows, backlog, quick, only }) => {
                let mut arguments = vec!["outbox", "--rounds", rounds];
                arguments.extend(["--sent-rows", sent_rows, "--backlog", backlog]);
                arguments.extend(quick.then_some("--quick"));
                arguments.extend(only.iter().flat_map(|part| ["--only", part]));
                arguments
            }
            Self::Handover(Handover {
                rounds,
                orders,
                lease_seconds,
                renew_deadline_seconds,
                retry_period_seconds,
                idle_minutes,
            }) => vec![
                "handover",
                "--rounds",
                rounds,
                "--orders",
                orders,
                "--lease-seconds",
                lease_seconds,
                "--renew-deadline-seconds",
                renew_deadline_seconds,
                "--retry-period-seconds",
                retry_period_seconds,
                "--idle-minutes",
                idle_minutes,
            ],
        }
    }
}

/// Builds the measured binaries, and measures them on real backends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let measurement = &arguments.measurement;
    if matches!(measurement, Measurement::Handover(_)) {
        // The run starts its own.
        Kind::Kubernetes.find()?;
    }
    measured(measurement.backends(), Durability::Durable, &measurement.arguments())
}

/// Builds what is measured, and runs the binary `bench` on backends with `arguments`.
pub(crate) fn measured(backends: &[Kind], durability: Durability, arguments: &[&str]) -> anyhow::Result<()> {
    let starting = backends::start(backends, durability);
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    let build: Vec<&str> = ["build", "--profile", PROFILE, "--locked"].into_iter().chain(packages).collect();
    shell::run(shell::cargo(&build))?;
    let backends = starting.wait();
    if !backends.missing.is_empty() {
        bail!("{}", backends.missing.join("\n"));
    }
    let binaries = shell::target().join(PROFILE);
    let mut command = shop_testing::servers::ending_with_us(&binaries.join("bench"), "TERM");
    command.args(arguments);
    command.envs(backends.environment.iter().map(|(name, value)| (*name, value)));
    command.env("SHOP_TEST_BIN_DIR", binaries);
    shell::run(command)
}
