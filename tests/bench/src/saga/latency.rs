//! `cargo xtask bench saga`: placing an order takes the same time whether the payment provider is quick, slow or gone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use shop_load::shoppers::{self, Shoppers, Summary};
use shop_testing::shop::Plan;
use sqlx::{Connection as _, PgConnection};

use super::place::{addresses_of, admin};
use crate::{
    process::Process,
    report::{self, median},
    services::{Backends, started},
};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the services' release binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How often to measure each provider, in turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// How long to measure each in a round
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// How many orders to place per second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
}

/// How the payment provider behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Quick,
    Slow,
    Gone,
}

impl Provider {
    const ALL: [Self; 3] = [Self::Quick, Self::Slow, Self::Gone];

    fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Slow => "2 s slow",
            Self::Gone => "gone",
        }
    }

    /// Of payment_service.
    fn variables(self) -> [(&'static str, &'static str); 2] {
        let [delay, outage] = ["PAYMENT_SIMULATED_DELAY_MS", "PAYMENT_SIMULATED_OUTAGE"];
        match self {
            Self::Quick => [(delay, "0"), (outage, "false")],
            Self::Slow => [(delay, "2000"), (outage, "false")],
            Self::Gone => [(delay, "0"), (outage, "true")],
        }
    }
}

/// The measurements with one provider, a value for each round.
#[derive(Debug, Default)]
struct Rounds {
    placing_p50: Vec<f64>,
    placing_p99: Vec<f64>,
    settling_p50: Vec<f64>,
    settling_p99: Vec<f64>,
    confirmed: u64,
    placed: u64,
}

impl Rounds {
    fn add(&mut self, summary: &Summary) {
        self.placing_p50.push(summary.placing.p50_ms);
        self.placing_p99.push(summary.placing.p99_ms);
        if summary.settling.count > 0 {
            self.settling_p50.push(summary.settling.p50_ms);
            self.settling_p99.push(summary.settling.p99_ms);
        }
        self.confirmed += summary.confirmed;
        self.placed += summary.placed;
    }

    fn row(&self, provider: Provider) -> String {
        let cell = |values: &[f64]| {
            if values.is_empty() { "–".to_owned() } else { format!("{:.1}", median(values)) }
        };
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            provider.name(),
            self.placed,
            cell(&self.placing_p50),
            cell(&self.placing_p99),
            cell(&self.settling_p50),
            cell(&self.settling_p99)
        )
    }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let folder = tempfile::tempdir()?;
    let backends = Backends::open().await?;
    let mut database = PgConnection::connect(&backends.postgres.url).await?;
    println!(
        "## An order's life\n\n{}; {machine}. {} orders per second, {} rounds of {} s for each provider, in turns.\n",
        report::durable_postgres(&mut database).await?,
        arguments.rate,
        arguments.rounds,
        arguments.seconds,
    );
    let mut shop = Shop::open(arguments, folder.path(), &backends).await?;
    shop.measure(arguments, Provider::Quick, true).await?;
    let mut all: [Rounds; 3] = Default::default();
    for _ in 0..arguments.rounds {
        for (provider, rounds) in Provider::ALL.into_iter().zip(&mut all) {
            rounds.add(&shop.measure(arguments, provider, false).await?);
        }
    }
    println!(
        "| provider | orders | `POST /orders` p50, ms | p99, ms | order → confirmed p50, ms | p99, ms |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for (provider, rounds) in Provider::ALL.into_iter().zip(&all) {
        println!("{}", rounds.row(provider));
    }
    println!();
    let quick = &all[0];
    ensure!(quick.confirmed == quick.placed, "{} of {} orders were confirmed", quick.confirmed, quick.placed);
    Ok(())
}

/// The running shop, whose payment_service is started anew for each provider.
struct Shop {
    plan: Plan,
    binaries: PathBuf,
    folder: PathBuf,
    payment: Option<Process>,
    _others: Vec<Process>,
}

impl Shop {
    async fn open(arguments: &Arguments, folder: &Path, backends: &Backends) -> anyhow::Result<Self> {
        let mut plan = Plan::new(&backends.addresses(), folder)?;
        plan.part_mut("order").set("ORDER_GUEST_ORDERS_PER_MINUTE", "0");
        plan.parts.retain(|part| part.name != "web");
        let (mut payment, mut others) = (None, Vec::new());
        for part in &plan.parts {
            let process = started(&arguments.binaries, folder, part).await?;
            if part.name == "payment" {
                payment = Some(process);
            } else {
                others.push(process);
            }
        }
        let (binaries, folder) = (arguments.binaries.clone(), folder.to_owned());
        Ok(Self { plan, binaries, folder, payment, _others: others })
    }

    /// Lets shoppers in while `provider` charges.
    async fn measure(
        &mut self,
        arguments: &Arguments,
        provider: Provider,
        is_warm_up: bool,
    ) -> anyhow::Result<Summary> {
        let mut part = self.plan.part("payment").clone();
        for (name, value) in provider.variables() {
            part.set(name, value);
        }
        self.payment.take().context("no payment_service")?.stop().await?;
        self.payment = Some(started(&self.binaries, &self.folder, &part).await?);
        let shoppers = Shoppers::new(shoppers::Arguments {
            rate: arguments.rate,
            orders: None,
            seconds: Some(if is_warm_up { 3 } else { arguments.seconds }),
            concurrency: 2000,
            guests: 0,
            cancels: 0,
            accounts: 4,
            restock: 1_000_000,
            patience_seconds: 10,
            // With any other provider, shoppers who look again and again would be a load that the quick one does not see.
            look_seconds: if provider == Provider::Quick { 30 } else { 0 },
            seed: Some(1),
            shop: addresses_of(&self.plan)?,
            admin: admin()?,
        });
        shoppers.run(std::future::pending()).await?;
        Ok(shoppers.summary())
    }
}
