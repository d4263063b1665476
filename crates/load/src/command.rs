use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    books,
    shoppers::{self, Shoppers},
    show,
};

/// What can be done with a running shop from outside: for the binary of this crate, and to be flattened into a service's tools.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let shoppers into the running shop: they browse, fill carts, order, look at their orders until these are settled, and sometimes cancel
    ///
    /// Without --orders and --seconds they come until Ctrl-C or SIGTERM. Those who are in the shop then are served before it ends.
    Load(Box<Load>),
    /// Check whether the running shop's orders, stock, reservations, payments, charges and messages agree, and name what does not
    ///
    /// Exits with 1 if something does not agree.
    CheckBooks(Box<books::Arguments>),
}

/// Which shoppers, and how they are reported.
#[derive(Args, Debug)]
pub struct Load {
    #[command(flatten)]
    shoppers: shoppers::Arguments,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Does it, and prints the outcome.
    ///
    /// # Errors
    /// No shopper can be let in, or the books cannot be read.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Load(load) => load.run().await,
            Self::CheckBooks(arguments) => check(&arguments).await,
        }
    }
}

impl Load {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let shoppers = Shoppers::new(self.shoppers);
        let summary = tokio::select! {
            summary = show::watched(&shoppers, signals(1)?) => summary?,
            () = signals(2)? => return Ok(ExitCode::from(130)),
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&summary)?);
        } else {
            println!("{}", show::whole(&summary));
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn check(arguments: &books::Arguments) -> anyhow::Result<ExitCode> {
    let verdict = books::check(arguments).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&verdict)?);
    } else {
        println!("{verdict}");
    }
    Ok(if verdict.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ready when SIGINT or SIGTERM has come so many times: once to let nobody in any more, twice to leave at once.
fn signals(times: u8) -> anyhow::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for _ in 0..times {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    })
}
