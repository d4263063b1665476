//! `cargo xtask soak`

use anyhow::bail;
use clap::{Args, Subcommand};
use shop_testing::servers::{Durability, Kind};

use crate::{backends, bench, shell};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Check the outbox's publisher against its model, one seed after the other
    Outbox(Outbox),
    /// Place orders while the controller's leader suffers faults
    Controller(Controller),
    /// Place orders during failovers, full disks, rotated passwords, and frozen and killed backends
    Surroundings(Surroundings),
    /// Let shoppers order while the services, their backends and the payment provider fail, and check the books at the end
    Saga(Saga),
}

#[derive(Args)]
struct Outbox {
    /// How long to run; a seed in progress is finished
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The first seed; random by default
    #[arg(long)]
    seed: Option<u64>,
    /// Repeat that seed: it reproduces the actions, but not their interleaving
    #[arg(long, requires = "seed")]
    same: bool,
}

#[derive(Args)]
struct Controller {
    /// How many faults
    #[arg(long, default_value = "10")]
    faults: String,
    /// How many orders to place per second
    #[arg(long, default_value = "1000")]
    orders: String,
    /// Determines which faults happen, and when; random by default
    #[arg(long)]
    seed: Option<String>,
    /// How long a Lease lasts without renewal
    #[arg(long, default_value = "4")]
    lease_seconds: String,
    /// How long a leader that cannot renew its Lease keeps publishing
    #[arg(long, default_value = "3")]
    renew_deadline_seconds: String,
    /// How often a leader renews its Lease
    #[arg(long, default_value = "1")]
    retry_period_seconds: String,
}

#[derive(Args)]
struct Surroundings {
    /// How long to inject faults; a fault in progress is finished
    #[arg(long, default_value = "10")]
    minutes: String,
    /// Determines which faults happen, and when; random by default
    #[arg(long)]
    seed: Option<String>,
    /// Only faults of these kinds: `failed-over`, `disk-full`, …
    #[arg(long)]
    only: Option<String>,
}

#[derive(Args)]
struct Saga {
    /// How many shoppers order
    #[arg(long, default_value = "10000")]
    orders: String,
    /// How many of them come in per second
    #[arg(long, default_value = "20")]
    rate: String,
    /// The longest pause between two faults, in seconds; while one follows another closely, most orders run into their time-out
    #[arg(long, default_value = "4")]
    pause_seconds: String,
    /// Determines which faults happen, and when; random by default
    #[arg(long)]
    seed: Option<String>,
    /// Only faults of these kinds: `payment-killed`, `provider-gone`, …
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.what {
        What::Outbox(arguments) => outbox(arguments),
        What::Controller(arguments) => controller(arguments),
        What::Surroundings(arguments) => surroundings(arguments),
        What::Saga(arguments) => saga(arguments),
    }
}

/// Runs optimized builds, on an API server that the run starts.
fn controller(arguments: &Controller) -> anyhow::Result<()> {
    let Controller { faults, orders, seed, lease_seconds, renew_deadline_seconds, retry_period_seconds } =
        arguments;
    Kind::Kubernetes.find()?;
    let mut arguments = vec!["soak", "--faults", faults, "--orders", orders];
    arguments.extend(["--lease-seconds", lease_seconds]);
    arguments.extend(["--renew-deadline-seconds", renew_deadline_seconds]);
    arguments.extend(["--retry-period-seconds", retry_period_seconds]);
    arguments.extend(seed.iter().flat_map(|seed| ["--seed", seed]));
    bench::measured(&[Kind::Postgres, Kind::RabbitMq], Durability::Fast, &arguments)
}

/// Runs optimized builds, on backends that the run starts, because it breaks them.
fn surroundings(arguments: &Surroundings) -> anyhow::Result<()> {
    let Surroundings { minutes, seed, only } = arguments;
    backends::install(&[Kind::Postgres, Kind::PgBouncer, Kind::Redis, Kind::RabbitMq]);
    let mut arguments = vec!["surroundings", "--minutes", minutes];
    arguments.extend(seed.iter().flat_map(|seed| ["--seed", seed]));
    arguments.extend(only.iter().flat_map(|only| ["--only", only]));
    bench::measured(&[], Durability::Durable, &arguments)
}

/// Runs optimized builds, on backends that the run starts, because it breaks them.
fn saga(arguments: &Saga) -> anyhow::Result<()> {
    let Saga { orders, rate, pause_seconds, seed, only } = arguments;
    backends::install(&[Kind::Postgres, Kind::Redis, Kind::RabbitMq]);
    let mut arguments = vec!["saga-soak", "--orders", orders, "--rate", rate];
    arguments.extend(["--pause-seconds", pause_seconds]);
    arguments.extend(seed.iter().flat_map(|seed| ["--seed", seed]));
    arguments.extend(only.iter().flat_map(|only| ["--only", only]));
    bench::measured(&[], Durability::Durable, &arguments)
}

/// Runs the model's test for a long time, with `cargo test`, because cargo-nextest would end it in its second minute.
fn outbox(arguments: &Outbox) -> anyhow::Result<()> {
    let Outbox { minutes, seed, same } = arguments;
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
