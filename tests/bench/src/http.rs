//! `cargo xtask bench http`

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use sqlx::{Connection as _, PgConnection};

use crate::{
    load::Load,
    pgbench::{Event, Pgbench},
    process::{Process, free_address, get, get_request},
    report::{self, Comparison, MostTime, Side, micros},
    services::{Backends, Services},
};

/// How many clients send requests at once, on both sides of each comparison.
const CLIENTS: usize = 16;
/// On how many threads.
const CLIENT_THREADS: usize = 2;
/// How long after their start idle services are measured.
const IDLE: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(3);

const LIST_TARGET: (f64, MostTime) = (0.7, MostTime::Times(1.5));
/// Of `order_service` and `catalog_service` together.
const ORDER_TARGET: (f64, MostTime) = (0.6, MostTime::Micros(350.0));

/// An order of two lines, as `order.sql` writes it.
const ORDER: &str = r#"{"customer_email":"buyer@example.com","items":[{"product_id":1,"quantity":2},{"product_id":2,"quantity":1}]}"#;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder of the services' release binaries
    #[arg(long, env = "SHOP_TEST_BIN_DIR")]
    binaries: PathBuf,
    /// How often to measure each side, in turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// How long to measure one side in a round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

impl Arguments {
    fn slice(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let machine = report::machine()?;
    let folder = tempfile::tempdir()?;
    let backends = Backends::open().await?;
    let mut database = PgConnection::connect(&backends.postgres.url).await?;
    let versions = versions(&mut database, &backends, &arguments.binaries).await?;
    println!("## HTTP\n\n{versions}; {machine}.\n");

    let Services { catalog, order, others } = {
        let services = Services::start(&arguments.binaries, folder.path(), &backends).await?;
        tokio::time::sleep(IDLE).await;
        print_memory(&services)?;
        services
    };
    // They would only take processor time from the measured services.
    drop(others);

    list(arguments, &catalog, folder.path()).await?.print();
    orders(arguments, [&order, &catalog], &mut database, &backends, folder.path()).await?.print();
    Ok(())
}

/// The versions of what ran, and the date.
async fn versions(database: &mut PgConnection, backends: &Backends, disk: &Path) -> anyhow::Result<String> {
    let postgres = report::durable_postgres(database, disk).await?;
    let mut redis =
        redis::Client::open(backends.redis.url.as_str())?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut redis).await?;
    let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?");
    Ok(format!("{postgres}, Redis {redis}"))
}

fn print_memory(services: &Services) -> anyhow::Result<()> {
    println!("| {} seconds after start | resident memory, MiB |\n|---|--:|", IDLE.as_secs());
    for service in services.all() {
        println!("| {} | {:.1} |", service.name, report::mebibytes(service.resident()?));
    }
    println!();
    Ok(())
}

/// The cached list compared with a bare handler with the same response.
async fn list(arguments: &Arguments, catalog: &Process, folder: &Path) -> anyhow::Result<Comparison> {
    const PATH: &str = "/products";
    get(catalog.address, PATH).await?;
    let (status, answer) = get(catalog.address, PATH).await?;
    let head = String::from_utf8_lossy(&answer).into_owned();
    ensure!(status == 200 && head.contains("x-cache: hit"), "the list is not cached: {head}");
    let recorded = folder.join("products.http");
    fs::write(&recorded, answer)?;
    let address = free_address()?;
    let itself = std::env::current_exe()?;
    let recorded = recorded.to_str().context("a temporary folder that is not UTF-8")?;
    let bare_arguments = ["bare", &address.to_string(), recorded];
    let bare = Process::start("bare", &itself, &bare_arguments, &[], (address, PATH), folder).await?;

    let mut comparison = Comparison {
        ours: Side::named("`GET /products`, cached"),
        theirs: Side::named("a bare axum handler with the same response"),
        target: LIST_TARGET.0,
        most_time: LIST_TARGET.1,
    };
    let load = |server: &Process| Load {
        address: server.address,
        request: get_request(PATH).into_bytes(),
        expected_status: 200,
        connections: CLIENTS,
        threads: CLIENT_THREADS,
    };
    for server in [catalog, &bare] {
        measure(&load(server), WARM_UP, &[], &mut Side::default())?;
    }
    for _ in 0..arguments.rounds {
        measure(&load(catalog), arguments.slice(), &[catalog], &mut comparison.ours)?;
        measure(&load(&bare), arguments.slice(), &[&bare], &mut comparison.theirs)?;
    }
    Ok(comparison)
}

/// Orders over HTTP compared with pgbench with the same statements, on the same tables.
async fn orders(
    arguments: &Arguments,
    services: [&Process; 2],
    database: &mut PgConnection,
    backends: &Backends,
    folder: &Path,
) -> anyhow::Result<Comparison> {
    let mut comparison = Comparison {
        ours: Side::named("`POST /orders`, two lines"),
        theirs: Side::named("pgbench, the same inserts"),
        target: ORDER_TARGET.0,
        most_time: ORDER_TARGET.1,
    };
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ORDER}",
        ORDER.len()
    );
    let load = Load {
        address: services[0].address,
        request: request.into_bytes(),
        expected_status: 201,
        connections: CLIENTS,
        threads: CLIENT_THREADS,
    };
    let pgbench = Pgbench::new(folder, &backends.postgres.url, Event::Appended, CLIENTS, CLIENT_THREADS)?;

    measure(&load, WARM_UP, &[], &mut Side::default())?;
    empty(database).await?;
    pgbench.run(WARM_UP).await?;
    for _ in 0..arguments.rounds {
        empty(database).await?;
        let answers = measure(&load, arguments.slice(), &services, &mut comparison.ours)?;
        expect_orders(database, answers as u64).await?;

        empty(database).await?;
        let measured = pgbench.run(arguments.slice()).await?;
        expect_orders(database, measured.transactions).await?;
        comparison.theirs.rates.push(measured.rate);
    }
    Ok(comparison)
}

/// Measures one side for one round; returns the number of responses.
fn measure(load: &Load, time: Duration, servers: &[&Process], side: &mut Side) -> anyhow::Result<usize> {
    let processor_time =
        || servers.iter().map(|server| server.processor_time()).sum::<anyhow::Result<Duration>>();
    let before = processor_time()?;
    let measured = tokio::task::block_in_place(|| load.run(time))?;
    let used = processor_time()?.saturating_sub(before);
    side.rates.push(measured.rate());
    side.median_latencies.push(micros(measured.percentile(0.5)));
    side.tail_latencies.push(micros(measured.percentile(0.99)));
    side.processor_times.push(micros(used) / measured.answers() as f64);
    Ok(measured.answers())
}

/// Each round begins with empty tables and right after a checkpoint.
async fn empty(database: &mut PgConnection) -> anyhow::Result<()> {
    for statement in [
        "TRUNCATE orders.orders, orders.order_items, orders.order_timeline, orders.outbox_messages",
        "CHECKPOINT",
    ] {
        sqlx::raw_sql(statement).execute(&mut *database).await?;
    }
    Ok(())
}

/// Every acknowledged order must have been stored completely.
async fn expect_orders(database: &mut PgConnection, expected: u64) -> anyhow::Result<()> {
    for (table, rows) in [("orders", expected), ("order_items", expected * 2), ("outbox_messages", expected)]
    {
        let count = format!("SELECT count(*) FROM orders.{table}");
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut *database).await?;
        ensure!(found.cast_unsigned() == rows, "{table} holds {found} rows instead of {rows}");
    }
    Ok(())
}
