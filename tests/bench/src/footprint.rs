//! The measurements of `cargo xtask footprint`, with the binaries from the images.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::{
    process::{Process, free_address},
    report::{machine, mebibytes, median},
    services::{Backends, Services},
};

/// How long after its start an idle service is measured.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the images' binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How often to start each service
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=20))]
    rounds: u32,
}

/// The measurements of one service.
struct Row {
    name: &'static str,
    /// The first is on an empty database.
    ready: Vec<Duration>,
    resident: u64,
    anonymous: u64,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let machine = machine()?;
    let folder = tempfile::tempdir()?;
    let backends = Backends::open().await?;
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..arguments.rounds {
        let services = Services::start(&arguments.binaries, folder.path(), &backends).await?;
        let shop = start_shop(arguments, folder.path()).await?;
        let processes: Vec<Process> = services.into_all().chain([shop]).collect();
        if round == 0 {
            tokio::time::sleep(IDLE).await;
            for process in &processes {
                rows.push(Row {
                    name: process.name,
                    ready: Vec::new(),
                    resident: process.resident()?,
                    anonymous: process.anonymous()?,
                });
            }
        }
        for (row, process) in rows.iter_mut().zip(processes) {
            row.ready.push(process.ready_after);
            process.stop().await?;
        }
    }
    print(&rows, &machine);
    Ok(())
}

fn print(rows: &[Row], machine: &str) {
    println!("{machine}.\n");
    println!(
        "| {} seconds after start | resident, MiB | of which anonymous, MiB | ready, ms | ready on an empty database, ms |",
        IDLE.as_secs()
    );
    println!("|---|--:|--:|--:|--:|");
    for row in rows {
        let milliseconds: Vec<f64> = row.ready.iter().map(|ready| ready.as_secs_f64() * 1000.0).collect();
        println!(
            "| {} | {:.1} | {:.1} | {:.0} | {:.0} |",
            row.name,
            mebibytes(row.resident),
            mebibytes(row.anonymous),
            median(&milliseconds[1..]),
            milliseconds[0]
        );
    }
    println!();
}

/// The whole shop in one process, on SQLite.
async fn start_shop(arguments: &Arguments, folder: &std::path::Path) -> anyhow::Result<Process> {
    let data = folder.join("data").to_string_lossy().into_owned();
    let web = free_address()?;
    let listen =
        ["AUTH", "CATALOG", "ORDER", "OUTBOX", "TELEGRAM"].map(|service| format!("{service}_LISTEN"));
    let mut environment =
        vec![("SHOP_DATA_DIR".to_owned(), data), ("WEB_LISTEN".to_owned(), web.to_string())];
    for name in listen {
        environment.push((name, free_address()?.to_string()));
    }
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let binary = arguments.binaries.join("shop");
    Process::start("shop", &binary, &[], &environment, (web, "/readyz"), folder).await
}
