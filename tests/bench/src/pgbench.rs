//! PostgreSQL's own benchmark: measures how fast the database can execute the statements of an order.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use shop_testing::servers;
use tokio::process::Command;

/// `order_service`'s transaction for an order of two lines.
const SCRIPT: &str = include_str!("order.sql");

/// What is written in addition to the order and its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Appended,
    None,
}

impl Event {
    fn script(self) -> String {
        let kept = |line: &&str| self == Self::Appended || !line.contains("outbox_messages");
        SCRIPT.lines().filter(kept).flat_map(|line| [line, "\n"]).collect()
    }
}

/// `pgbench` with the script.
pub(crate) struct Pgbench {
    program: PathBuf,
    script: PathBuf,
    database_url: String,
    clients: usize,
    threads: usize,
}

/// The result of a pgbench run.
#[derive(Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) transactions: u64,
    /// Per second, without the time to connect.
    pub(crate) rate: f64,
}

impl Pgbench {
    pub(crate) fn new(
        folder: &std::path::Path,
        database_url: &str,
        event: Event,
        clients: usize,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let program = servers::on_path("pgbench")
            .context("pgbench is not installed (postgresql, postgresql-contrib)")?;
        let script = folder.join(format!("order-{event:?}.sql"));
        std::fs::write(&script, event.script())?;
        Ok(Self { program, script, database_url: database_url.to_owned(), clients, threads })
    }

    /// Runs it for `time`, in whole seconds.
    pub(crate) async fn run(&self, time: Duration) -> anyhow::Result<Measured> {
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared", "--define=n=0"]);
        command.arg(format!("--client={}", self.clients)).arg(format!("--jobs={}", self.threads));
        command.arg(format!("--time={}", time.as_secs())).arg("--file").arg(&self.script);
        command.arg(&self.database_url).kill_on_drop(true);
        let output = command.output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("pgbench: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        parse(&text).with_context(|| format!("pgbench's output has changed:\n{text}"))
    }
}

fn parse(text: &str) -> Option<Measured> {
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
        line.split(['/', ' ']).find(|word| !word.is_empty())
    };
    Some(Measured {
        transactions: after("number of transactions actually processed:")?.parse().ok()?,
        rate: after("tps =")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_event_a_statement_is_missing_and_nothing_else() {
        let [with, without] = [Event::Appended, Event::None].map(Event::script);
        assert!(with.lines().eq(SCRIPT.lines()));
        assert_eq!(with.lines().count(), without.lines().count() + 1);
        assert!(!without.contains("outbox_messages"), "{without}");
    }

    #[test]
    fn a_report_is_read() {
        let report = "transaction type: order.sql\n\
                      number of transactions actually processed: 9157\n\
                      number of failed transactions: 0 (0.000%)\n\
                      latency average = 5.244 ms\n\
                      initial connection time = 21.310 ms\n\
                      tps = 3050.971301 (without initial connection time)\n";
        let expected = Measured { transactions: 9157, rate: 3050.971301 };
        assert_eq!(parse(report), Some(expected));
        assert_eq!(parse("nothing"), None);
    }
}
