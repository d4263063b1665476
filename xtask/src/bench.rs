//! `cargo xtask bench`

use anyhow::bail;
use clap::{Args, Subcommand};
use shop_testing::servers::{Durability, Kind};

use crate::{backends, shell};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Compare the list of products with a bare handler, and orders with pgbench; show the memory of idle services
    Http(Http),
    /// Compare the outbox with publishing without one: backlogs, latency, what writers pay, memory
    Outbox(Outbox),
    /// How long nothing is published when the controller's leader ends or crashes; what idle controllers cost
    Handover(Handover),
}

#[derive(Args)]
struct Http {
    /// How often each side is measured, in turns
    #[arg(long, default_value = "5")]
    rounds: String,
    /// How long one side is measured in a round
    #[arg(long, default_value = "5")]
    seconds: String,
}

#[derive(Args)]
struct Outbox {
    /// How often each side is measured, in turns
    #[arg(long, default_value = "5")]
    rounds: String,
    /// Rows that were sent long ago
    #[arg(long, default_value = "10000000")]
    sent_rows: String,
    /// Rows that wait when memory is measured
    #[arg(long, default_value = "1000000")]
    backlog: String,
    /// Small sizes and few rounds: about two minutes in all, to see that it works
    #[arg(long)]
    quick: bool,
    /// One part only: drain, latency, tax, history or memory
    #[arg(long)]
    only: Option<String>,
}

#[derive(Args)]
struct Handover {
    /// How many hand-overs of each kind
    #[arg(long, default_value = "5")]
    rounds: String,
    /// Orders placed a second
    #[arg(long, default_value = "200")]
    orders: String,
    /// How long a Lease lasts without renewal
    #[arg(long, default_value = "15")]
    lease_seconds: String,
    /// How long a leader goes on that cannot renew its Lease
    #[arg(long, default_value = "10")]
    renew_deadline_seconds: String,
    /// How often a leader renews its Lease
    #[arg(long, default_value = "2")]
    retry_period_seconds: String,
    /// For how long idle controllers are watched; 0: not at all
    #[arg(long, default_value = "5")]
    idle_minutes: String,
}

impl Measurement {
    fn backends(&self) -> &'static [Kind] {
        match self {
            Self::Http(_) => &[Kind::Postgres, Kind::Redis, Kind::RabbitMq],
            Self::Outbox(_) | Self::Handover(_) => &[Kind::Postgres, Kind::RabbitMq],
        }
    }

    /// Built in one go, so that they agree on the features of what they share.
    fn packages(&self) -> &'static [&'static str] {
        match self {
            Self::Http(_) => &["auth", "bench", "catalog", "order", "outbox-controller", "telegram", "web"],
            Self::Outbox(_) | Self::Handover(_) => &["bench", "order", "outbox-controller"],
        }
    }

    /// For the binary `bench`.
    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Http(Http { rounds, seconds }) => vec!["http", "--rounds", rounds, "--seconds", seconds],
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

/// Builds what is measured for release, and measures it on real backends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let measurement = &arguments.measurement;
    if matches!(measurement, Measurement::Handover(_)) {
        // The run starts one of its own.
        Kind::Kubernetes.find()?;
    }
    released(measurement.packages(), measurement.backends(), Durability::Durable, &measurement.arguments())
}

/// Builds `packages` for release, and runs the binary `bench` on backends with `arguments`.
pub(crate) fn released(
    packages: &[&str],
    backends: &[Kind],
    durability: Durability,
    arguments: &[&str],
) -> anyhow::Result<()> {
    let starting = backends::start(backends, durability);
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let build: Vec<&str> = ["build", "--release", "--locked"].into_iter().chain(packages).collect();
    shell::run(shell::cargo(&build))?;
    let backends = starting.wait();
    if !backends.missing.is_empty() {
        bail!("{}", backends.missing.join("\n"));
    }
    let binaries = shell::target().join("release");
    let mut command = shop_testing::servers::ending_with_us(&binaries.join("bench"), "TERM");
    command.args(arguments);
    command.envs(backends.environment.iter().map(|(name, value)| (*name, value)));
    command.env("SHOP_TEST_BIN_DIR", binaries);
    shell::run(command)
}
