//! Automation for people and for CI: `cargo xtask --help`.

mod backends;
mod bench;
mod chart;
mod ci;
mod circles;
mod deny;
mod docker;
mod features;
mod footprint;
mod generate;
mod images;
mod install;
mod kind;
mod load;
mod python;
mod shell;
mod soak;
mod targets;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Automation of the shop's repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the tests, with the backends that they need
    Test(test::Arguments),
    /// Measure the shop on real backends, in optimized builds
    Bench(bench::Arguments),
    /// Build the images, and check them against their size budget
    Images(images::Arguments),
    /// Measure the images: their size, the memory of idle services, how soon they are ready
    Footprint(footprint::Arguments),
    /// A cluster on this machine: create it, install the shop, test it, remove it
    Kind(kind::Arguments),
    /// Lint, validate and test the Helm chart
    Chart,
    /// Test a part of the shop under faults for as long as you like
    Soak(soak::Arguments),
    /// Let shoppers into a running shop: `cargo xtask load --rate 5`
    Load(load::Arguments),
    /// Check whether the books of a running shop agree
    CheckBooks(load::Arguments),
    /// Run everything that a change must pass
    Ci,
    /// Write the generated files that are committed
    Generate(generate::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Images(arguments) => images::run(&arguments),
        Task::Footprint(arguments) => footprint::run(&arguments),
        Task::Kind(arguments) => kind::run(&arguments),
        Task::Chart => chart::run(),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Load(arguments) => load::run("load", &arguments),
        Task::CheckBooks(arguments) => load::run("check-books", &arguments),
        Task::Ci => ci::run(),
        Task::Generate(arguments) => generate::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
