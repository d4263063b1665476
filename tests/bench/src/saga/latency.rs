//! `cargo xtask bench saga`: placing an order takes the same time whether the payment provider is quick, slow or gone.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use shop_load::shoppers::{self, Shoppers, Summary};
use shop_testing::shop::Plan;
use sqlx::{Connection as _, PgConnection};

use super::place::{addresses_of, admin};
use crate::{
    controller::until,
    process::{Process, processor_time_of_all},
    report::{self, median},
    services::{Backends, started},
};

/// How long a backlog of orders may take to settle between two measurements.
const PATIENCE: Duration = Duration::from_secs(120);

/// How soon orders were confirmed, by `order_service`'s clock: customers who looked would be a load that grows with the time they wait.
const CONFIRMED: &str = "
SELECT coalesce(percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM t.at - o.created_at) * 1000),
                '{}')::float8[], count(*)
FROM orders.orders AS o JOIN orders.order_timeline AS t ON t.order_id = o.id AND t.event = 'confirmed'
WHERE o.created_at >= $1";
const PENDING: &str = "SELECT count(*) FROM orders.orders WHERE status = 'pending'";
/// What the shop runs on, and the names of its processes.
const BACKENDS: [(&str, &str); 3] =
    [("PostgreSQL", "postgres"), ("RabbitMQ", "beam.smp"), ("Redis", "redis-server")];
const NOW: &str = "SELECT clock_timestamp()";

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
    costs: Costs,
}

/// The processor time that each part of the shop has used.
type Costs = BTreeMap<&'static str, Duration>;

impl Rounds {
    fn add(&mut self, summary: &Summary, settling: &[f64], confirmed: i64) {
        self.placing_p50.push(summary.placing.p50_ms);
        self.placing_p99.push(summary.placing.p99_ms);
        if let [p50, p99] = settling {
            self.settling_p50.push(*p50);
            self.settling_p99.push(*p99);
        }
        self.confirmed += confirmed.cast_unsigned();
        self.placed += summary.placed;
    }

    /// What an order costs, from its click to its mails.
    fn print_costs(&self) {
        let millis = |used: Duration| used.as_secs_f64() * 1000.0 / self.placed as f64;
        let mut costs: Vec<(&str, Duration)> = self.costs.iter().map(|(name, used)| (*name, *used)).collect();
        costs.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        println!("| with a quick provider | CPU time per order, ms |\n|---|--:|");
        for (name, used) in &costs {
            println!("| {name} | {:.2} |", millis(*used));
        }
        println!("| all | {:.2} |\n", millis(costs.iter().map(|(_, used)| *used).sum()));
    }

    fn row(&self, provider: Provider) -> String {
        let cell = |values: &[f64]| {
            if values.is_empty() { "–".to_owned() } else { format!("{:.1}", median(values)) }
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            provider.name(),
            self.placed,
            self.confirmed,
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
        report::durable_postgres(&mut database, &arguments.binaries).await?,
        arguments.rate,
        arguments.rounds,
        arguments.seconds,
    );
    let mut shop = Shop::open(arguments, folder.path(), &backends, database).await?;
    shop.warm_up(arguments).await?;
    let mut all: [Rounds; 3] = Default::default();
    for _ in 0..arguments.rounds {
        for (provider, rounds) in Provider::ALL.into_iter().zip(&mut all) {
            shop.measure(arguments, provider, rounds).await?;
        }
    }
    println!(
        "| provider | orders | confirmed meanwhile | `POST /orders` p50, ms | p99, ms | order → confirmed p50, ms | p99, ms |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (provider, rounds) in Provider::ALL.into_iter().zip(&all) {
        println!("{}", rounds.row(provider));
    }
    println!();
    let [quick, _, gone] = &all;
    quick.print_costs();
    ensure!(quick.confirmed > 0 && gone.confirmed == 0, "the provider is not as it should be");
    Ok(())
}

/// The running shop, whose payment_service is started anew for each provider.
struct Shop {
    plan: Plan,
    binaries: PathBuf,
    folder: PathBuf,
    database: PgConnection,
    payment: Option<Process>,
    others: Vec<Process>,
}

impl Shop {
    async fn open(
        arguments: &Arguments,
        folder: &Path,
        backends: &Backends,
        database: PgConnection,
    ) -> anyhow::Result<Self> {
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
        Ok(Self { plan, binaries, folder, database, payment, others })
    }

    async fn warm_up(&self, arguments: &Arguments) -> anyhow::Result<()> {
        self.let_in(arguments, 3).await.map(drop)
    }

    /// Lets shoppers in while `provider` charges, once all earlier orders are settled.
    async fn measure(
        &mut self,
        arguments: &Arguments,
        provider: Provider,
        rounds: &mut Rounds,
    ) -> anyhow::Result<()> {
        self.settle().await?;
        self.choose(provider).await?;
        let began: chrono::DateTime<chrono::Utc> =
            sqlx::query_scalar(NOW).fetch_one(&mut self.database).await?;
        let before = self.costs()?;
        let summary = self.let_in(arguments, arguments.seconds).await?;
        for (name, used) in self.costs()? {
            *rounds.costs.entry(name).or_default() += used.saturating_sub(before[name]);
        }
        let (settling, confirmed): (Vec<f64>, i64) =
            sqlx::query_as(CONFIRMED).bind(began).fetch_one(&mut self.database).await?;
        rounds.add(&summary, &settling, confirmed);
        Ok(())
    }

    fn costs(&self) -> anyhow::Result<Costs> {
        let services = self.payment.iter().chain(&self.others);
        let services = services.map(|service| anyhow::Ok((service.name, service.processor_time()?)));
        let backends =
            BACKENDS.into_iter().map(|(name, process)| Ok((name, processor_time_of_all(process)?)));
        services.chain(backends).collect()
    }

    /// Waits until no order is pending.
    async fn settle(&mut self) -> anyhow::Result<()> {
        self.choose(Provider::Quick).await?;
        let database = &mut self.database;
        until("all orders are settled", PATIENCE, async || {
            let pending = sqlx::query_scalar(PENDING).fetch_one(&mut *database).await;
            pending.is_ok_and(|pending: i64| pending == 0)
        })
        .await
    }

    /// Starts payment_service anew.
    async fn choose(&mut self, provider: Provider) -> anyhow::Result<()> {
        let mut part = self.plan.part("payment").clone();
        for (name, value) in provider.variables() {
            part.set(name, value);
        }
        self.payment.take().context("no payment_service")?.stop().await?;
        self.payment = Some(started(&self.binaries, &self.folder, &part).await?);
        Ok(())
    }

    async fn let_in(&self, arguments: &Arguments, seconds: u64) -> anyhow::Result<Summary> {
        let shoppers = Shoppers::new(shoppers::Arguments {
            rate: arguments.rate,
            orders: None,
            seconds: Some(seconds),
            concurrency: 2000,
            guests: 0,
            cancels: 0,
            accounts: 4,
            restock: 1_000_000,
            patience_seconds: 10,
            look_seconds: 0,
            seed: Some(1),
            shop: addresses_of(&self.plan)?,
            admin: admin()?,
        });
        shoppers.run(std::future::pending()).await?;
        Ok(shoppers.summary())
    }
}
