//! The operator's tools: inspect the outbox, redrive dead rows, or discard them. They need only the database, so they work
//! while the broker is away and while a publisher is at work.
//!
//! The result goes to standard output, as a table or one JSON object per line; remarks go to standard error.

mod text;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use kube::CustomResourceExt as _;
use shop_outbox::{DiscardError, FullRow, RowFilter, RowKey, RowStatus, RowSummary, Store};
use shop_runtime::{Tools, database, table::json_lines};

use crate::{config::DatabaseConfig, object::OutboxPublisher, outbox};

/// Dead rows redriven by one statement of `redrive --all`.
const CHUNK: u32 = 500;

/// What an operator can do to an outbox.
#[derive(Subcommand)]
pub enum Tool {
    /// List rows, oldest first: by default the dead ones, which hold back their aggregates
    List(List),
    /// Show a row in full: content, headers, last error, times
    Show(Show),
    /// Make dead rows pending again and reset their attempts; what they held back follows in order
    Redrive(Redrive),
    /// Delete dead rows for good and print each in full, as JSON; what they held back goes on without them
    Discard(Discard),
    /// Show how many rows are pending, dead and kept, and who publishes
    Stats(Stats),
    /// Print the definition of the Kubernetes objects that describe publishers, as YAML, and exit
    Crd,
}

#[derive(Args)]
#[command(group = ArgGroup::new("status"))]
pub struct List {
    /// Dead rows; the default
    #[arg(long, group = "status")]
    dead: bool,
    /// Rows that wait to be published
    #[arg(long, group = "status")]
    pending: bool,
    /// Rows that were sent and are still kept
    #[arg(long, group = "status")]
    sent: bool,
    /// Rows of one aggregate only, such as order/0198c0de-…
    #[arg(long, value_name = "TYPE/ID", value_parser = aggregate)]
    aggregate: Option<(String, String)>,
    /// Only rows with a higher id, such as the last one of the previous page
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    /// The maximum number of rows, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(RowFilter::MAX_LIMIT)))]
    limit: u32,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args)]
pub struct Show {
    /// The row's id or message_id
    row: RowKey,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args)]
pub struct Redrive {
    /// The rows' ids or message_ids
    #[arg(value_name = "ROW", required_unless_present = "all")]
    rows: Vec<RowKey>,
    /// All dead rows
    #[arg(long, conflicts_with = "rows")]
    all: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args)]
pub struct Discard {
    /// The rows' ids or message_ids
    #[arg(value_name = "ROW", required = true)]
    rows: Vec<RowKey>,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args)]
pub struct Stats {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Args)]
struct Output {
    /// Print one JSON object per line, for scripts
    #[arg(long)]
    json: bool,
}

fn crd() -> anyhow::Result<ExitCode> {
    let definition = serde_saphyr::to_string(&OutboxPublisher::crd())?;
    write!(io::stdout(), "{definition}")?;
    Ok(ExitCode::SUCCESS)
}

impl Tools for Tool {
    async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(tool) => tool.run().await,
            Self::Show(tool) => tool.run().await,
            Self::Redrive(tool) => tool.run().await,
            Self::Discard(tool) => tool.run().await,
            Self::Stats(tool) => tool.run().await,
            Self::Crd => crd(),
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let status = match self {
            Self { pending: true, .. } => RowStatus::Pending,
            Self { sent: true, .. } => RowStatus::Sent,
            _ => RowStatus::Dead,
        };
        let Self { aggregate, after, limit, .. } = self;
        let rows = open(&self.database).await?.list(&RowFilter { status, aggregate, after, limit }).await;
        let rows = rows.context(UNUSABLE)?;
        self.output.rows(&rows)?;
        match rows.last() {
            None => eprintln!("no row is {status} there"),
            Some(last) if rows.len() == limit as usize => eprintln!("more may follow: --after {}", last.id),
            Some(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let Some(row) = open(&self.database).await?.find(self.row).await.context(UNUSABLE)? else {
            eprintln!("{}: no such row", self.row);
            return Ok(ExitCode::FAILURE);
        };
        print(&if self.output.json { json_lines([&row])? } else { text::row(&row) })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Redrive {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let store = open(&self.database).await?;
        if self.all {
            let redriven = self.redrive_all(&store).await?;
            eprintln!("{redriven} redriven");
            return Ok(ExitCode::SUCCESS);
        }
        let rows = store.redrive(&self.rows).await.context(UNUSABLE)?;
        self.output.rows(&rows)?;
        eprintln!("{} redriven", rows.len());
        explain_missing(&store, &self.rows, &rows.iter().collect::<Vec<_>>()).await
    }

    /// Prints each chunk as it is done, so that what was done is known however it ends.
    async fn redrive_all(&self, store: &Store) -> anyhow::Result<usize> {
        let (mut redriven, mut after) = (0, 0);
        loop {
            let rows = store.redrive_next(after, CHUNK).await.context(UNUSABLE)?;
            let Some(last) = rows.last() else { return Ok(redriven) };
            after = last.id;
            redriven += rows.len();
            self.output.rows(&rows)?;
        }
    }
}

impl Discard {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let store = open(&self.database).await?;
        let record = |rows: &[FullRow]| print(&json_lines(rows)?);
        let rows = match store.discard(&self.rows, record).await {
            Err(DiscardError::Database(error)) => return Err(error).context(UNUSABLE),
            rows => rows?,
        };
        eprintln!("{} discarded", rows.len());
        let rows: Vec<_> = rows.iter().map(|row| &row.summary).collect();
        explain_missing(&store, &self.rows, &rows).await
    }
}

impl Stats {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let overview = open(&self.database).await?.overview().await.context(UNUSABLE)?;
        print(&if self.output.json { json_lines([&overview])? } else { text::overview(&overview) })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Output {
    fn rows(&self, rows: &[RowSummary]) -> io::Result<()> {
        print(&if self.json { json_lines(rows)? } else { text::rows(rows) })
    }
}

const UNUSABLE: &str = "the outbox cannot be used (are OUTBOX_DATABASE_URL and OUTBOX_SCHEMA right?)";

async fn open(config: &DatabaseConfig) -> anyhow::Result<Store> {
    let database =
        database::attach(&config.database_url, outbox::sessions(&config.schema)).await.context(UNUSABLE)?;
    Ok(outbox::store(&database))
}

/// Names those of `keys` that are not among the rows `done`, and says why; a failure if there are any.
async fn explain_missing(store: &Store, keys: &[RowKey], done: &[&RowSummary]) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for key in keys.iter().filter(|key| !done.iter().any(|row| row.is(**key))) {
        code = ExitCode::FAILURE;
        match store.find(*key).await.context(UNUSABLE)? {
            Some(row) => eprintln!("{key}: {}, not dead", row.summary.status),
            None => eprintln!("{key}: no such row"),
        }
    }
    Ok(code)
}

fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

fn aggregate(text: &str) -> Result<(String, String), &'static str> {
    let parts = text.split_once('/').ok_or("an aggregate is its type, a slash and its id")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}
