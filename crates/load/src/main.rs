//! `shop-load load` and `shop-load check-books`, also as `cargo xtask load` and `cargo xtask check-books`.

use std::process::ExitCode;

use clap::Parser;
use shop_load::Command;

/// Puts load on a running shop, and checks its books.
#[derive(Parser)]
#[command(name = "shop-load", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("shop-load: {error:#}");
        ExitCode::from(2)
    })
}

fn run() -> anyhow::Result<ExitCode> {
    shop_runtime::install_crypto();
    let Cli { command } = shop_runtime::config::parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(command.run())
}
