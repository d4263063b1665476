//! The whole shop in one process, on embedded backends: `cargo run`.

mod address;
mod banner;
mod config;
mod open;
mod secrets;
mod settings;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shop_runtime::{Lifecycle, install_crypto, telemetry};

use crate::config::Config;

/// The shop in one process: accounts, catalog, orders, payments, notifications, the outboxes' publisher, the storefront and the bot.
///
/// It needs only a folder for its data. Every service is the same code that runs alone in a container, on its
/// embedded backends: SQLite instead of PostgreSQL and RabbitMQ, memory instead of Redis. Payments are simulated, and mails are
/// written into a folder, from which the address under "Mails" shows them.
///
/// The log goes to standard output; RUST_LOG=warn makes it quiet. Ctrl-C finishes the work in progress, then ends.
#[derive(Parser)]
#[command(name = "shop", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    telemetry: telemetry::TelemetryConfig,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Ask the running shop whether its storefront is ready, and exit 0 or 1: for containers without a shell
    Healthcheck,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    install_crypto();
    let Cli { config, telemetry, command } = shop_runtime::config::parse()?;
    if let Some(Command::Healthcheck) = command {
        return Ok(shop_runtime::healthcheck(config.http.probe_listen.unwrap_or(config.web)));
    }
    let telemetry = telemetry::init("shop", &telemetry)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let lifecycle = Lifecycle::new();
        let open = open::open(config, &lifecycle).await?;
        println!("{}", banner::banner(&open));
        anyhow::Ok(lifecycle.run().await)
    });
    drop(runtime);
    telemetry.shutdown();
    outcome
}
