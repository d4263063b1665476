//! Benchmarks that compare the shop with a baseline, in one run on one machine: `cargo xtask bench`.
//!
//! Absolute rates say more about the machine than about the shop, so the result is the ratio of two rates,
//! measured in turns under the same load.

mod bare;
mod breaking;
mod controller;
mod footprint;
mod http;
mod kubelet;
mod load;
mod outbox;
mod pgbench;
mod process;
mod report;
mod saga;
mod services;
mod surroundings;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures the shop. `cargo xtask bench` prepares everything it needs")]
struct Cli {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// The product list compared with a bare handler, orders compared with pgbench, and the memory of idle services
    Http(http::Arguments),
    /// The outbox compared with publishing without one: backlogs, latency, what writers pay, memory
    Outbox(outbox::Arguments),
    /// The controller's hand-overs, and what idle controllers cost
    Handover(controller::handover::Arguments),
    /// The controller under faults while orders flow
    Soak(controller::soak::Arguments),
    /// The shop on realistic surroundings, which fail in every way, while orders flow
    Surroundings(surroundings::Arguments),
    /// How long orders take with a quick, a slow and an absent payment provider
    Saga(saga::latency::Arguments),
    /// Orders from their placing to their end, while everything that they need fails
    SagaSoak(saga::Arguments),
    /// How much memory idle services use, and how soon they are ready
    Footprint(footprint::Arguments),
    /// Serve one recorded response: the baseline for the catalog
    #[command(hide = true)]
    Bare {
        /// Where to listen
        listen: SocketAddr,
        /// The recorded response
        recorded: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().kind {
        Kind::Http(arguments) => http::run(&arguments).await,
        Kind::Outbox(arguments) => outbox::run(&arguments).await,
        Kind::Handover(arguments) => controller::handover::run(&arguments).await,
        Kind::Soak(arguments) => controller::soak::run(&arguments).await,
        Kind::Surroundings(arguments) => surroundings::run(&arguments).await,
        Kind::Saga(arguments) => saga::latency::run(&arguments).await,
        Kind::SagaSoak(arguments) => saga::run(&arguments).await,
        Kind::Footprint(arguments) => footprint::run(&arguments).await,
        Kind::Bare { listen, recorded } => bare::serve(listen, &recorded).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
